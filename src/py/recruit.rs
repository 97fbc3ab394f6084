//! Starting a worker's thread.

use ::log::Level;
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;

use super::errors::JobError;
use super::fault;
use super::held::held;
use super::house::House;
use super::job::Job;
use super::worker::Worker;
use super::{log, shim, unraisable};
use crate::core::pool::Admission;
use crate::core::sync::{Mutex, has_memory_for_thread};
use crate::interrupt::{call, guard};
use std::sync::Arc;

/// Bytes of a worker's stack. Deep recursion must meet Python's own limit first: 2 MiB overflow on 3.11 to 3.13 with the
/// default recursion limit, 8 MiB do not. It is address space only, until it is used. A little more than 16 MiB, so that it
/// is told from a size that a program chose itself.
const STACK_SIZE: usize = 16 * 1024 * 1024 + 64 * 1024;

/// How many threads are being started, and the program's own stack size for threads, to be set again after the last. Kept
/// from then on: without the GIL one thread may read our size in the moment before another sets the program's again.
static STARTING: Mutex<(usize, Option<usize>)> = Mutex::new((0, None));

/// What came of it.
pub(crate) enum Recruited {
    /// The worker is there, or others are and will see to the job; an exception came out of it nevertheless (Ctrl-C).
    Yes(PyResult<()>),
    /// There is no worker at all, and will be none.
    No(PyErr),
}

/// Start one more worker for a house, which counts on it already.
pub(crate) fn recruit(py: Python<'_>, house: &Arc<House>) -> Recruited {
    let started = Bound::new(py, Worker::new(house)).and_then(|worker| {
        // Not to be hit half way: the thread would be there, and the pool would not know.
        let started = held(py, || start(py, &worker));
        // Ctrl-C may come out of `Thread.start` before or after the thread is there: only the worker itself knows.
        match started {
            Err(error) if worker.get().give_up() => Err(error),
            other => Ok(other),
        }
    });
    let error = match started {
        Ok(started) => return Recruited::Yes(started),
        Err(error) => error,
    };
    if house.pool.worker_failed() {
        return Recruited::No(error);
    }
    if !error.is_instance_of::<PyException>(py) {
        return Recruited::Yes(Err(error));
    }
    log::tell(
        py,
        Level::Warn,
        "rjobs::pool",
        format_args!("no thread for another worker: {error}"),
    );
    Recruited::Yes(Ok(()))
}

/// A worker's thread came up and could not begin, for a fault of ours. Where it was the only one, a job that it was to run fails
/// for it, and another is started for the others.
pub(crate) fn never_came(py: Python<'_>, house: &Arc<House>) {
    if !house.pool.worker_failed() {
        return;
    }
    let Some(job) = house.pool.pop(false) else {
        return;
    };
    let error = JobError::new_err("its worker could not begin, for a fault in rjobs itself");
    fault::contained(py, || Job::end_by_fault(job.bind(py), error.value(py)));
    fault::contained(py, || call::release(job.into_bound(py)));
    if house.pool.reinforce() == Admission::NeedsWorker
        && let Recruited::No(error) | Recruited::Yes(Err(error)) = recruit(py, house)
    {
        error.write_unraisable(py, None);
    }
}

fn start(py: Python<'_>, worker: &Bound<'_, Worker>) -> PyResult<()> {
    let serial = worker.get().serial();
    start_thread(py, worker.as_any(), &serial.to_string())?;
    log::tell(
        py,
        Level::Debug,
        "rjobs::pool",
        format_args!("worker {serial} started"),
    );
    Ok(())
}

/// Start a thread named "rjobs-" and `name` that calls `runner.run()`. Its name is that of `runner.job` while there is one.
pub(crate) fn start_thread(py: Python<'_>, runner: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
    // The C library ends the process where a new thread finds no memory for its thread-local data.
    if has_memory_for_thread(STACK_SIZE).is_err() {
        return Err(PyRuntimeError::new_err("can't start new thread: no memory"));
    }
    // On this thread and not on the new one, which the end of the interpreter may unwind wherever it runs Python code.
    shim::importing(py, || guard::install(py));
    shim::open_what_asyncio_brings(py);
    unraisable::install(py)?;
    let roomy = Roomy::set(py)?;
    shim::START_WORKER.call(py, (runner, name))?;
    drop(roomy);
    Ok(())
}

/// New threads get a worker's stack for as long as this lives. In here and not in Python, where Ctrl-C could come between
/// setting the size and the `try` that would set it back.
struct Roomy<'py>(Python<'py>);

impl<'py> Roomy<'py> {
    fn set(py: Python<'py>) -> PyResult<Self> {
        let before: usize = shim::STACK_SIZE.call(py, (STACK_SIZE,))?.extract()?;
        let mut starting = STARTING.lock();
        starting.0 += 1;
        if before != STACK_SIZE {
            starting.1 = Some(before);
        }
        Ok(Self(py))
    }
}

/// In the child of a fork: who was starting a thread is not here, and sets no size of the program's again.
pub(crate) fn after_fork_in_child(py: Python<'_>) {
    let before = {
        let mut starting = STARTING.lock();
        let was_starting = std::mem::take(&mut starting.0) > 0;
        starting.1.filter(|_| was_starting)
    };
    if let Some(before) = before {
        // Cannot fail: it was the size before.
        let _ = shim::STACK_SIZE.call(py, (before,));
    }
}

impl Drop for Roomy<'_> {
    fn drop(&mut self) {
        let before = {
            let mut starting = STARTING.lock();
            starting.0 -= 1;
            if starting.0 == 0 { starting.1 } else { None }
        };
        if let Some(before) = before {
            // Cannot fail: it was the size before.
            let _ = shim::STACK_SIZE.call(self.0, (before,));
        }
    }
}

#[pymethods]
impl Worker {
    /// Whose jobs it runs: the number that the manager has, too.
    #[getter(_house)]
    fn house_serial(&self) -> u64 {
        self.house.serial
    }
}
