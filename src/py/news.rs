//! News: who is told when jobs end.

use std::sync::atomic::Ordering;

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};

use super::job::Job;
use super::manager::JobManager;
use super::shim;
use crate::core::sync::Mutex;

/// What `notify` is set to, and what is called for it at every end.
///
/// The manager holds it and its house only points to it: so what is called may hold the manager, and goes with it.
#[derive(Debug, Default)]
pub(crate) struct News {
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// None for the default, 'prompt'.
    setting: Option<Py<PyAny>>,
    listener: Option<Py<PyAny>>,
}

impl News {
    /// What is to be called with a job that has ended.
    pub(crate) fn listener<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let told = self.told.lock();
        let listener = told.listener.as_ref()?.clone_ref(py);
        drop(told);
        Some(listener.into_bound(py))
    }

    fn set(&self, setting: Py<PyAny>, listener: Option<Py<PyAny>>) {
        let told = Told {
            setting: Some(setting),
            listener,
        };
        let before = std::mem::replace(&mut *self.told.lock(), told);
        drop(before);
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(told) = self.told.try_lock() else {
            return Ok(());
        };
        visit.call(&told.setting)?;
        visit.call(&told.listener)
    }

    pub(crate) fn clear(&self) {
        let before = std::mem::take(&mut *self.told.lock());
        drop(before);
    }
}

impl Job {
    /// Whether its end is to be reported: once.
    pub(crate) fn report(&self) -> bool {
        // Read first: of many that are kept, nearly all were told of.
        !self.reported.load(Ordering::Relaxed)
            && self.is_over()
            && !self.reported.swap(true, Ordering::Relaxed)
    }
}

#[pymethods]
impl Job {
    /// Whether it has ended and that was not told of yet. It is told of by this.
    fn _tell(&self) -> bool {
        self.report()
    }
}

#[pymethods]
impl JobManager {
    /// Who is told when jobs end: 'prompt' (the default), 'live', False, or a function.
    ///
    /// 'prompt' is one line in IPython when the user comes to the next prompt (in a notebook: runs the next cell), for all that
    /// ended until then. A job whose end the user has seen is left out: whose outcome was taken (`get()`, `exception()`, `await`,
    /// iterated to the end), that was followed to its end, killed by hand or by a click, was in a table, or has a display of its
    /// own in the notebook.
    /// 'live' is a line at once; where many end together, one line every 0.1 seconds. In a notebook it appears under the cell
    /// that started the job, in a terminal where the cursor is, elsewhere on stderr. A function is called with each job that
    /// has ended, as a callback of `add_done_callback` is; what it prints is then the job's output. Raises `ValueError` for
    /// anything else.
    #[getter]
    fn notify(&self, py: Python<'_>) -> Py<PyAny> {
        let setting = {
            let told = self.news.told.lock();
            told.setting.as_ref().map(|setting| setting.clone_ref(py))
        };
        setting.unwrap_or_else(|| PyString::intern(py, "prompt").into_any().unbind())
    }

    #[setter]
    fn set_notify(&self, setting: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = setting.py();
        let is_text = |text: &str| {
            setting
                .cast::<PyString>()
                .is_ok_and(|setting| setting.to_string_lossy() == text)
        };
        let is_false = || setting.is(PyBool::new(py, false));
        let listener = if is_text("prompt") || is_false() {
            None
        } else if is_text("live") {
            Some(shim::NEWS_LIVE.get(py)?.clone().unbind())
        } else if setting.is_callable() {
            Some(setting.clone().unbind())
        } else {
            return Err(PyValueError::new_err(format!(
                "notify must be 'prompt', 'live', False, or a function that takes the job; got {}",
                setting.repr()?.to_string_lossy()
            )));
        };
        let is_heard = listener.is_some();
        self.news.set(setting.clone().unbind(), listener);
        self.house.hear_of_ends(is_heard);
        Ok(())
    }

    /// The number that the next job gets: those below it were there before.
    #[getter]
    fn _next_number(&self) -> u64 {
        self.registry.next_number()
    }
}

impl Job {
    /// Who asked has its end before their eyes: it is no news any more.
    pub(crate) fn saw_end(&self) {
        if self.is_over() {
            self.reported.store(true, Ordering::Relaxed);
        }
    }

    /// Tell that it has ended, where somebody is to be told at once.
    pub(crate) fn tell_end(me: &Bound<'_, Self>) {
        let house = &me.get().house;
        if !house.hears_of_ends() {
            return;
        }
        let listener = house.news().and_then(|news| news.listener(me.py()));
        if let Some(listener) = listener {
            Self::run_callback(me, &listener);
        }
    }
}
