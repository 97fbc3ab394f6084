//! Coroutine jobs: all of a manager's run on one event loop, each as a task of its own.
//!
//! | file | what is in it |
//! |---|---|
//! | `to_the_loop` | which jobs come here, and how |
//! | `room` | the inbox, who is inside, when the thread comes and goes |
//! | `keeper` | the thread |
//! | `errand` | one run of one job |
//! | `run` | how a run begins, what is around each of its steps, how it ends |
//! | `steps` | the coroutine that `asyncio` sees, around the user's |
//! | `driven` | what may take the place of a coroutine |
//! | `callback` | callbacks, which are steps as well |
//! | `asks` | asking for the end: kills, time-outs, shields |
//! | `chase` | seeing to it that it comes |
//! | `meaning` | what exceptions stand for on a loop |
//!
//! `python/rjobs/_loop.py` has the loop, and `interrupt/steps.rs` what binds a strike to one step.

mod asks;
pub(crate) mod callback;
pub(crate) mod chase;
mod driven;
pub(crate) mod errand;
pub(crate) mod keeper;
pub(crate) mod meaning;
pub(crate) mod room;
mod run;
pub(crate) mod steps;
pub(crate) mod to_the_loop;

use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::interrupt::call;

/// `object.name(*args)`, in a way that the end of the interpreter cannot abort (see `interrupt::call`).
fn call_method<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    args: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>>,
) -> PyResult<Bound<'py, PyAny>> {
    let method = object.getattr(name)?;
    let args = args.into_pyobject(object.py()).map_err(Into::into)?;
    call::call(&method, &args, None).map_err(|error| PyErr::from_value(error.into_any()))
}
