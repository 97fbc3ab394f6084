//! The only room that speaks `PyO3`: the classes that Python sees, the worker's loop, waiting, errors, logging.
//!
//! The rule of this room: no Rust lock is held across a Python call, an attach or a detach, or the drop of a Python
//! object. Copy out, unlock, then call.

mod again;
pub(crate) mod alarm;
pub(crate) mod as_completed;
mod between;
mod chain;
mod compose;
mod counts;
mod cpu_clock;
pub(crate) mod current;
pub(crate) mod desk;
mod ending;
pub(crate) mod entrance;
pub(crate) mod errand;
pub(crate) mod errors;
pub(crate) mod event_loop;
pub(crate) mod exit;
pub(crate) mod fault;
mod figures;
pub(crate) mod follow;
mod gates;
mod generators;
pub(crate) mod group;
pub(crate) mod held;
pub(crate) mod hog;
pub(crate) mod house;
pub(crate) mod job;
mod job_end;
mod job_future;
mod job_inside;
mod job_look;
mod job_output;
mod job_record;
mod keep_frames;
pub(crate) mod kill;
pub(crate) mod last_wait;
mod lent;
pub(crate) mod log;
mod lookup;
pub(crate) mod manager;
mod manager_lists;
mod manager_panel;
pub(crate) mod manager_wait;
mod misuse;
pub(crate) mod news;
mod on_kill;
pub(crate) mod options;
pub(crate) mod outcome;
mod pickling;
mod plan;
pub(crate) mod progress;
mod recruit;
pub(crate) mod runner;
pub(crate) mod seconds;
mod shell;
pub(crate) mod shim;
mod snapshot;
mod stats;
pub(crate) mod streams;
mod text;
mod tries;
pub(crate) mod troop;
pub(crate) mod unraisable;
pub(crate) mod values;
mod verdict;
pub(crate) mod view;
pub(crate) mod wait;
pub(crate) mod work;
pub(crate) mod worker;

use pyo3::exceptions::PyImportError;
use pyo3::impl_::extract_argument::argument_extraction_error;
use pyo3::prelude::*;
use pyo3::types::PyMapping;

use crate::interrupt::{codes, frame, guard, interpreter, landing, pending};

/// The threads, the guards and the classes of rjobs are there once in a process, for its main interpreter. `CPython` would let another
/// one in: up to 3.11 any, later those with the same GIL.
pub(crate) fn refuse_subinterpreters() -> PyResult<()> {
    if interpreter::is_main() {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "rjobs cannot be imported in a subinterpreter, since its threads and hooks belong to the main interpreter of the process: \
         import it there, and have its jobs call the subinterpreter",
    ))
}

/// Have `PyO3` make what it makes at the first use and keeps others waiting for, of what our code uses: a child of a fork in that
/// moment would wait for ever (see `core::once`).
fn touch_pyo3(py: Python<'_>) {
    // The module of a class, which it asks for where an argument is no `bool`, and the note on an argument that is refused.
    let class = py.get_type::<PyImportError>();
    let _ = class.module();
    argument_extraction_error(py, "", PyImportError::new_err(()));
    // `collections.abc.Mapping`.
    let _ = class.cast::<PyMapping>();
}

/// What importing the module does, once.
pub(crate) fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("_current", current::variable(py)?)?;
    log::install(py);
    // Now and here, so that no worker ever has to import.
    errors::touch(py);
    touch_pyo3(py);
    codes::prepare(py);
    shim::open(py, shim::Opened::Import)?;
    // For threads that block before the first job, and are to be ended by `kill_thread`.
    pending::find(py)?;
    landing::prepare(py);
    frame::prepare(py)?;
    hog::read(py)?;
    guard::put_in_force_at_import(py)?;
    exit::watch_forks(module)?;
    Ok(())
}
