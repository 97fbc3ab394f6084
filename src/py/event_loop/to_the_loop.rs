//! Which jobs run on their manager's event loop, and how they get there.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyFunction, PyType};

use super::errand::Errand;
use super::keeper::{self, Keeper};
use crate::interrupt::codes;
use crate::interrupt::names::name;
use crate::py::job::Job;
use crate::py::recruit::start_thread;
use crate::py::runner::Runner;
use crate::py::{errors, held, shim};

/// Send a job to its manager's loop, and start that if it is not there. See `entrance::launch` for what comes back.
pub(crate) fn launch(job: &Bound<'_, Job>) -> PyResult<Option<PyErr>> {
    let (py, house) = (job.py(), &job.get().house);
    if !job.get().is_aside() {
        if !house.entrance.enter() {
            return Err(errors::closed());
        }
        job.get().went_aside();
        // Who ends it at this moment either sees that it is aside, or is seen here.
        fence(Ordering::SeqCst);
        if job.get().is_over() {
            job.get().come_back();
            return Ok(None);
        }
    }
    let errand = Errand::new(job);
    let before = {
        let mut held = job.get().held.lock();
        held.runner.replace(Runner::Task(Arc::clone(&errand)))
    };
    drop(before);
    let (needs_thread, woken) = house.room.take(py, &errand);
    if !needs_thread {
        return Ok(woken.err());
    }
    house.room.thread_comes();
    let started = Bound::new(py, Keeper::new(house)).and_then(|keeper| {
        // Not to be hit half way, as with workers.
        let started = held::held(py, || start_thread(py, keeper.as_any(), "loop"));
        match started {
            Err(error) if keeper.get().give_up() => Err(error),
            other => Ok(other),
        }
    });
    match started {
        Ok(started) => Ok(started.err()),
        Err(error) => {
            house.room.thread_goes();
            for other in house.room.give_up() {
                if other.aim != errand.aim
                    && let Some(job) = other.job(py)
                {
                    keeper::fail(&job, &error);
                }
                other.end(py);
            }
            Err(error)
        }
    }
}

/// An error where a wait for `job` could never end: the calling thread is the very loop that the job needs.
pub(crate) fn must_not_wait(job: &Job) -> PyResult<()> {
    if would_wait_for_itself(job) {
        Err(blocks_its_loop())
    } else {
        Ok(())
    }
}

pub(crate) fn blocks_its_loop() -> PyErr {
    PyRuntimeError::new_err(
        "this would wait for a coroutine job and block the event loop that it runs on: await the job, or call this by \
         asyncio.to_thread",
    )
}

/// Whether the calling thread is the loop that this job runs on, or will.
pub(crate) fn would_wait_for_itself(job: &Job) -> bool {
    job.house.room.is_this_thread() && job.errand().is_some() && !job.is_over()
}

/// `CO_COROUTINE` and `CO_ASYNC_GENERATOR` of `inspect`.
const CO_COROUTINE: i32 = 0x80;
const CO_ASYNC_GENERATOR: i32 = 0x200;
/// How many wrappers are looked through.
const DEEPEST: usize = 100;

/// As `inspect.iscoroutinefunction` has it: `async def`, a bound method or a `functools.partial` of one, an object whose
/// `__call__` is one, and what `inspect.markcoroutinefunction` has marked. Not what only returns a coroutine, and no asynchronous
/// generator function.
pub(crate) fn is_coroutine_function(callable: &Bound<'_, PyAny>) -> bool {
    function_of(callable)
        .is_some_and(|function| has_flag(&function, CO_COROUTINE) || is_marked(&function))
}

/// Whether a call of it, or code, is known to need an event loop of its own: an asynchronous generator function, top-level
/// `await`.
pub(crate) fn has_own_loop(callable: &Bound<'_, PyAny>, code: Option<&Bound<'_, PyAny>>) -> bool {
    let Some(code) = code else {
        return function_of(callable)
            .is_some_and(|function| has_flag(&function, CO_ASYNC_GENERATOR));
    };
    let flags = code
        .getattr_opt(name!(code.py(), "co_flags"))
        .ok()
        .flatten()
        .and_then(|flags| flags.extract::<i32>().ok());
    flags.is_some_and(|flags| flags & (CO_COROUTINE | CO_ASYNC_GENERATOR) != 0)
}

/// The Python function that a call of `callable` calls, through methods, partials and objects that are called.
fn function_of<'py>(callable: &Bound<'py, PyAny>) -> Option<Bound<'py, PyFunction>> {
    let py = callable.py();
    let mut callable = callable.clone();
    for _ in 0..DEEPEST {
        if let Ok(function) = callable.cast_exact::<PyFunction>() {
            return Some(function.clone());
        }
        if callable.is_exact_instance_of::<PyCFunction>() || callable.is_instance_of::<PyType>() {
            return None;
        }
        let inner = if is_a(&callable, &shim::METHOD) {
            callable.getattr(name!(py, "__func__"))
        } else if is_a(&callable, &shim::PARTIAL) {
            callable.getattr(name!(py, "func"))
        } else {
            // What is called is looked up in the class, whatever the object itself has.
            let call = callable.get_type().getattr(name!(py, "__call__"));
            return call.ok()?.cast_into_exact::<PyFunction>().ok();
        };
        callable = inner.ok()?;
    }
    None
}

fn is_a(object: &Bound<'_, PyAny>, class: &shim::Door) -> bool {
    class
        .get_type(object.py())
        .and_then(|class| object.is_instance(class))
        .unwrap_or(false)
}

fn has_flag(function: &Bound<'_, PyFunction>, flag: i32) -> bool {
    codes::flags(function) & flag != 0
}

/// 3.12 and later.
fn is_marked(function: &Bound<'_, PyFunction>) -> bool {
    cfg!(Py_3_12)
        && function
            .getattr_opt(name!(function.py(), "_is_coroutine_marker"))
            .is_ok_and(|mark| mark.is_some())
}
