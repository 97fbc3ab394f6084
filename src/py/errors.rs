//! The exception classes, which are Python's, and the words of our errors.

use pyo3::exceptions::PyMemoryError;
use pyo3::import_exception;
use pyo3::prelude::*;

use super::shim;

import_exception!(rjobs.errors, JobError);
import_exception!(rjobs.errors, JobExpired);
import_exception!(rjobs.errors, JobKilled);
import_exception!(rjobs.errors, JobSkipped);
import_exception!(rjobs.errors, JobTimeout);
import_exception!(rjobs.errors, ManagerClosed);
import_exception!(rjobs.errors, QueueFull);
import_exception!(rjobs.errors, UnknownJob);

// Resolved by `touch` when rjobs is imported. Not for a class of any other module: PyO3 imports it when it is first raised, where
// a kill may land or no import is possible any more, and panics when that fails, in a place where it ends the process.

/// Import the classes of the package.
pub(crate) fn touch(py: Python<'_>) {
    for class in [
        py.get_type::<JobError>(),
        py.get_type::<JobExpired>(),
        py.get_type::<JobKilled>(),
        py.get_type::<JobSkipped>(),
        py.get_type::<JobTimeout>(),
        py.get_type::<ManagerClosed>(),
        py.get_type::<QueueFull>(),
        py.get_type::<UnknownJob>(),
    ] {
        drop(class);
    }
}

/// No job has this number.
pub(crate) fn unknown_job(number: impl std::fmt::Display) -> PyErr {
    UnknownJob::new_err(format!(
        "job {number} is not known here: see jobs.status() for those that are"
    ))
}

/// `concurrent.futures.CancelledError`.
pub(crate) fn cancelled(py: Python<'_>, message: String) -> PyErr {
    match shim::CANCELLED_ERROR.get_type(py) {
        Ok(class) => PyErr::from_type(class.clone(), message),
        Err(error) => error,
    }
}

/// `MemoryError`, as Python itself raises it: without a text, for which there may be no memory either.
pub(crate) fn no_memory() -> PyErr {
    PyMemoryError::new_err(())
}

/// The manager was shut down.
pub(crate) fn closed() -> PyErr {
    ManagerClosed::new_err(
        "this manager was shut down and takes no new jobs: make another JobManager; in a notebook %reload_ext rjobs does",
    )
}

/// The interpreter ends.
pub(crate) fn at_the_end() -> PyErr {
    ManagerClosed::new_err("the interpreter is ending and takes no new jobs")
}

/// The process was forked, and the manager's threads are not in this one.
pub(crate) fn of_the_parent() -> PyErr {
    ManagerClosed::new_err(
        "this manager belongs to the parent process, whose threads a fork does not copy: make a new JobManager here",
    )
}
