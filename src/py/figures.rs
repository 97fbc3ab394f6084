//! A job's figures: what `rjobs._figures` keeps apart for it while it runs, and asks to be told at the end of each run.

use std::sync::atomic::Ordering;

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

use super::job::{Job, keep_first};
use crate::interrupt::call;
use crate::interrupt::names::name;

type Result<'py, T = Bound<'py, PyAny>> = std::result::Result<T, Bound<'py, PyBaseException>>;

/// A run has come to `result`, and is still open to strikes: show the figures that it leaves, and let go of them. A strike that
/// comes meanwhile is the result. Called where the run was, with its job as the current one.
pub(crate) fn run_ends<'py>(bound: &Bound<'py, Job>, result: Result<'py>) -> Result<'py> {
    if !bound.get().has_figures() {
        return result;
    }
    let exception = result.as_ref().err().map(|error| error.clone().into_any());
    match end(bound, exception.as_ref()) {
        Ok(()) => result,
        Err(error) => Err(error),
    }
}

fn end<'py>(bound: &Bound<'py, Job>, exception: Option<&Bound<'py, PyAny>>) -> Result<'py, ()> {
    let (py, job) = (bound.py(), bound.get());
    // In the child of a fork they are the parent's.
    if !job.house.is_here() {
        return Ok(());
    }
    let figures = if job.group.get().is_some() {
        // Of many items at a time: each ends its own.
        job.figures_kept(py)
    } else {
        job.has_figures.store(false, Ordering::Release);
        job.with_extras(|extras| extras.figures.take())
    };
    let Some(figures) = figures.map(|figures| figures.into_bound(py)) else {
        return Ok(());
    };
    let called = figures
        .getattr(name!(py, "run_ends"))
        .and_then(|run_ends| Ok((run_ends, (bound, exception).into_pyobject(py)?)))
        .map_err(|error| error.into_value(py).into_bound(py))
        .and_then(|(run_ends, args)| call::call(&run_ends, &args, None));
    call::release(figures);
    called.map(drop)
}

impl Job {
    /// Whether there may be figures that wait for the end of a run.
    pub(crate) fn has_figures(&self) -> bool {
        self.has_figures.load(Ordering::Acquire)
    }

    fn figures_kept(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let held = self.held.lock();
        let figures = held.extras.as_ref()?.figures.as_ref()?;
        Some(figures.clone_ref(py))
    }
}

#[pymethods]
impl Job {
    /// What keeps its figures, or None.
    #[getter]
    fn _figures(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.figures_kept(py)
    }

    /// Keep `figures`, unless something is kept already, until the end of the run; gives what is kept. Its
    /// `run_ends(job, exception)` is called then: on the thread of the run, with the job as the current one.
    fn _keep_figures<'py>(me: &Bound<'py, Self>, figures: Bound<'py, PyAny>) -> Bound<'py, PyAny> {
        let py = me.py();
        let fresh = figures.unbind();
        let (kept, other) = Self::link(me, |extras| keep_first(py, &mut extras.figures, fresh));
        drop(other);
        me.get().has_figures.store(true, Ordering::Release);
        kept.into_bound(py)
    }
}
