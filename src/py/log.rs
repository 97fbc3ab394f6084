//! The core's log records in Python's `logging`, under `rjobs.*`.

use log::{Level, LevelFilter};
use pyo3::prelude::*;
use pyo3_log::{Caching, Logger};

/// Send records to the loggers `rjobs.pool`, `rjobs.job` and `rjobs.exit`.
///
/// A record calls into Python, so it may block, run other threads' code, and come back here. Therefore: nothing in `core` or
/// `interrupt` logs; the rest logs only while attached, with no lock held, never from a drop and never once the
/// interpreter is ending. Levels are not cached (records are rare, and `logging` may be set up at any time), and records
/// of other crates stay out.
pub(crate) fn install(py: Python<'_>) {
    let logger = Logger::new(py, Caching::Nothing).map(|logger| {
        logger
            .filter(LevelFilter::Off)
            .filter_target("rjobs".to_owned(), LevelFilter::Debug)
    });
    // A second import (a reload of the module) finds the logger in place.
    let _ = logger.map(Logger::install);
}

/// Write a record. What a handler raises is shown as Python shows what a `__del__` raises: pyo3-log leaves it set, where the
/// next call would fall over it.
pub(crate) fn tell(py: Python<'_>, level: Level, target: &str, message: std::fmt::Arguments<'_>) {
    log::log!(target: target, level, "{message}");
    if let Some(error) = PyErr::take(py) {
        error.write_unraisable(py, None);
    }
}
