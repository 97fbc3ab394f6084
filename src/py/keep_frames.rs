//! Which jobs keep the frames of what they raised, for `debug()`, and how the others let go of them.
//!
//! A frame keeps all that is in it, as long as anybody holds the exception: a variable with the job, an entry of `Out`. What the
//! traceback says does not need that. So the frames are emptied, and stay where they are.

use std::sync::atomic::{AtomicU8, Ordering};

use pyo3::exceptions::{PyBaseException, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};

use super::job::Job;
use super::manager::JobManager;
use super::outcome::{self, Outcome};
use crate::core::state::State;
use crate::interrupt::empty_frames::empty;

/// Of which jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum KeepFrames {
    /// Those that failed by themselves.
    Failed = 0,
    /// Also those that were ended.
    All = 1,
    None = 2,
}

impl KeepFrames {
    pub(crate) fn from_object(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(all) = value.cast::<PyBool>() {
            return Ok(if all.is_true() { Self::All } else { Self::None });
        }
        let text = value.cast::<PyString>().map_err(|_| {
            let kind = value.get_type();
            let kind = kind
                .qualname()
                .map_or_else(|_| "?".to_owned(), |name| name.to_string());
            PyTypeError::new_err(format!(
                "keep_frames must be True, False or 'failed', not {kind}"
            ))
        })?;
        let text = text.to_string_lossy();
        if text == "failed" {
            return Ok(Self::Failed);
        }
        Err(PyValueError::new_err(format!(
            "keep_frames must be True, False or 'failed'; got '{}'",
            text.escape_debug()
        )))
    }

    fn to_object(self, py: Python<'_>) -> Py<PyAny> {
        match self {
            Self::Failed => PyString::intern(py, "failed").into_any().unbind(),
            Self::All => PyBool::new(py, true).to_owned().into_any().unbind(),
            Self::None => PyBool::new(py, false).to_owned().into_any().unbind(),
        }
    }

    fn keeps(self, state: State) -> bool {
        match self {
            Self::Failed => state == State::Failed,
            Self::All => true,
            Self::None => false,
        }
    }
}

/// What a manager has it set to, for jobs that end from then on.
#[derive(Debug, Default)]
pub(crate) struct Setting(AtomicU8);

impl Setting {
    pub(crate) fn set(&self, keep: KeepFrames) {
        self.0.store(keep as u8, Ordering::Relaxed);
    }

    fn get(&self) -> KeepFrames {
        [KeepFrames::Failed, KeepFrames::All, KeepFrames::None]
            .into_iter()
            .find(|keep| *keep as u8 == self.0.load(Ordering::Relaxed))
            .unwrap_or(KeepFrames::Failed)
    }
}

impl Job {
    /// Whether it keeps the frames of what it raised, when it ends like that.
    fn keeps_frames(&self, state: State) -> bool {
        let own = self.plan.as_ref().and_then(|plan| plan.keep_frames);
        own.unwrap_or_else(|| self.house.keep_frames.get())
            .keeps(state)
    }

    /// It ends like that with this exception: unless it keeps them, the frames are emptied.
    pub(crate) fn settle_frames(&self, state: State, exception: &Bound<'_, PyBaseException>) {
        if !self.keeps_frames(state) {
            self.let_go_of_frames(exception);
        }
    }

    /// The same for an exception that is one of those that were sent, while what its finalizers do can still be struck.
    pub(crate) fn settle_early(&self, exception: &Bound<'_, PyBaseException>) {
        if let Some(state) = self.end_by(exception) {
            self.settle_frames(state, exception);
        }
    }

    fn let_go_of_frames(&self, exception: &Bound<'_, PyBaseException>) {
        self.with_extras(|extras| extras.has_no_frames = true);
        empty(exception);
    }

    /// Its record goes: one that was ended needs its frames no more. Those of one that failed go with whoever holds it.
    pub(crate) fn record_goes(&self, py: Python<'_>) {
        if !matches!(self.state(), State::Killed | State::TimedOut) {
            return;
        }
        let outcome = self.held.lock().outcome.clone_ref(py);
        if let Outcome::Raised(exception, traceback) = outcome {
            self.let_go_of_frames(&outcome::restored(py, exception, traceback));
        }
    }
}

#[pymethods]
impl Job {
    /// Whether what it raised is without what was in its frames.
    #[getter(_has_no_frames)]
    fn has_no_frames(&self) -> bool {
        let held = self.held.lock();
        held.extras
            .as_ref()
            .is_some_and(|extras| extras.has_no_frames)
    }
}

#[pymethods]
impl JobManager {
    /// Of which jobs that end from now on the frames of what they raised are kept, for `job.debug()` and `%debug`: `'failed'`
    /// (the default), True (also of those that were killed or timed out) or False (of none).
    ///
    /// A frame keeps alive all that its variables refer to. Where it is not kept, its variables are let go of when the job ends;
    /// `traceback()`, `exception()` and its `__traceback__` keep every line. Those of a job that was ended also go when its record
    /// goes (`remove`, `flush`, `result_ttl`). Raises `TypeError` and `ValueError` for anything else.
    #[getter]
    fn keep_frames(&self, py: Python<'_>) -> Py<PyAny> {
        self.house.keep_frames.get().to_object(py)
    }

    #[setter]
    fn set_keep_frames(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.house.keep_frames.set(KeepFrames::from_object(value)?);
        Ok(())
    }
}
