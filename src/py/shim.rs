//! The doors to the Python half: modules of the package, imported when first needed.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use super::held;
use crate::interrupt::call;

/// A function of the package, looked up once.
pub(crate) struct Door {
    module: &'static str,
    name: &'static str,
    found: PyOnceLock<Py<PyAny>>,
}

impl Door {
    pub(crate) const fn new(module: &'static str, name: &'static str) -> Self {
        Self {
            module,
            name,
            found: PyOnceLock::new(),
        }
    }

    /// The function.
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        if let Some(found) = self.found.get(py) {
            return Ok(found.bind(py));
        }
        // Held: a kill in the middle of an import would leave the module broken for the process. And by whoever comes, several
        // at a time if need be: to wait for one that looks it up would be for ever in the child of a fork made meanwhile.
        let found = held::undisturbed(py, || {
            let module = py.import(self.module)?;
            module.getattr(self.name).map(Bound::unbind)
        })?;
        let _ = self.found.set(py, found);
        let found = self.found.get(py).ok_or_else(|| {
            pyo3::exceptions::PyRuntimeError::new_err("a function that was just found is gone")
        })?;
        Ok(found.bind(py))
    }

    /// Call it, in a way that the end of the interpreter cannot abort (see `interrupt::call`).
    pub(crate) fn call<'py>(
        &self,
        py: Python<'py>,
        args: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let args = args.into_pyobject(py).map_err(Into::into)?;
        call::call(self.get(py)?, &args, None).map_err(|error| PyErr::from_value(error.into_any()))
    }

    /// The type, where it is one.
    pub(crate) fn get_type<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyType>> {
        Ok(self.get(py)?.cast::<PyType>()?)
    }
}

pub(crate) static START_WORKER: Door = Door::new("rjobs._threads", "start_worker");
pub(crate) static PREPARE_SHELL: Door = Door::new("rjobs._shell", "prepare");
pub(crate) static RUN_COROUTINE: Door = Door::new("rjobs._coroutines", "run_coroutine");
pub(crate) static RUN_LOOP: Door = Door::new("rjobs._loop", "run");
pub(crate) static TIDY: Door = Door::new("rjobs._loop", "tidy");
pub(crate) static AWAITED: Door = Door::new("rjobs._loop", "awaited");
pub(crate) static THROWN: Door = Door::new("rjobs._loop", "thrown");
pub(crate) static IN_PLACE_OF: Door = Door::new("rjobs._loop", "in_place_of");
pub(crate) static CANCELLED: Door = Door::new("asyncio.exceptions", "CancelledError");
pub(crate) static METHOD: Door = Door::new("types", "MethodType");
pub(crate) static PARTIAL: Door = Door::new("functools", "partial");
pub(crate) static PREPARE_CODE: Door = Door::new("rjobs._code", "prepare");
pub(crate) static TRIM: Door = Door::new("rjobs._near", "trim");
pub(crate) static COROUTINE: Door = Door::new("types", "CoroutineType");
pub(crate) static GENERATOR: Door = Door::new("types", "GeneratorType");
pub(crate) static ASYNC_GENERATOR: Door = Door::new("types", "AsyncGeneratorType");
pub(crate) static RUN_ASYNC_GENERATOR: Door = Door::new("rjobs._values", "run_async_generator");
pub(crate) static ASYNC_VALUES: Door = Door::new("rjobs._values", "AsyncValues");
pub(crate) static IS_MADE_BY: Door = Door::new("rjobs._near", "is_made_by");
pub(crate) static IS_IN_LOOP: Door = Door::new("rjobs._near", "is_in_loop");
pub(crate) static HOOK_STREAMS: Door = Door::new("rjobs._capture", "hook_streams");
pub(crate) static INSTALL_CAPTURE: Door = Door::new("rjobs._capture", "install");
pub(crate) static INSTALL_LIFECYCLE: Door = Door::new("rjobs._lifecycle", "install");
pub(crate) static MAKE_FUTURE: Door = Door::new("rjobs._future", "make_future");
pub(crate) static AWAIT_JOB: Door = Door::new("rjobs._future", "await_job");
pub(crate) static TO_DICT: Door = Door::new("rjobs._record", "to_dict");
pub(crate) static STACK: Door = Door::new("rjobs._stack", "stack");
pub(crate) static WAITED: Door = Door::new("rjobs._record", "Waited");
pub(crate) static STATUS: Door = Door::new("rjobs._display", "status");
pub(crate) static STATUS_NEW: Door = Door::new("rjobs._display", "status_new");
pub(crate) static LOG_ERROR: Door = Door::new("rjobs._record", "log_error");
pub(crate) static FOLLOW: Door = Door::new("rjobs.notebook.following", "show_follow");
pub(crate) static DEBUG: Door = Door::new("rjobs._debug", "debug");
pub(crate) static NEWS_LIVE: Door = Door::new("rjobs._news", "live");
pub(crate) static JOB_HTML: Door = Door::new("rjobs._display", "job_html");
pub(crate) static JOB_TEXT: Door = Door::new("rjobs._display", "job_text");
pub(crate) static MANAGER_HTML: Door = Door::new("rjobs._display", "manager_html");
pub(crate) static PANEL: Door = Door::new("rjobs._panel", "open_panel");
pub(crate) static MANAGER_TEXT: Door = Door::new("rjobs._display", "manager_text");
pub(crate) static FORMAT_EXCEPTION: Door = Door::new("rjobs._display", "format_exception");
pub(crate) static INDEX: Door = Door::new("operator", "index");
pub(crate) static IS_RETRY_POLICY: Door = Door::new("rjobs._retry", "is_policy");
pub(crate) static BACKOFF: Door = Door::new("rjobs._retry", "backoff");
pub(crate) static TRIES: Door = Door::new("rjobs._retry", "tries");
pub(crate) static FAILED_RUN: Door = Door::new("rjobs._retry", "failed_run");
pub(crate) static MAKE_LOCK: Door = Door::new("rjobs._locks", "make_lock");
pub(crate) static UNDER_LOCK: Door = Door::new("rjobs._locks", "UnderLock");
pub(crate) static CLAIM: Door = Door::new("rjobs._cache", "claim");
pub(crate) static PRINT: Door = Door::new("builtins", "print");
pub(crate) static STACK_SIZE: Door = Door::new("threading", "stack_size");
pub(crate) static NOTHING: Door = Door::new("rjobs._near", "nothing");
pub(crate) static IS_DAEMON: Door = Door::new("rjobs._lifecycle", "is_daemon");
pub(crate) static MAIN_THREAD: Door = Door::new("threading", "main_thread");
pub(crate) static EXCEPTION_IN_CALLBACK: Door = Door::new("rjobs._near", "exception_in_callback");
pub(crate) static MAP_RUN: Door = Door::new("rjobs._map_loop", "run");
pub(crate) static MAP_RUN_STAR: Door = Door::new("rjobs._map_loop", "run_star");
pub(crate) static MAP_RUN_ASYNC: Door = Door::new("rjobs._map_loop", "run_async");
pub(crate) static MAP_RUN_ASYNC_STAR: Door = Door::new("rjobs._map_loop", "run_async_star");
pub(crate) static MAP_IS_ASYNC: Door = Door::new("rjobs._map_loop", "is_async");
pub(crate) static MAP_PULL: Door = Door::new("rjobs._map_loop", "pull");
pub(crate) static MAP_TRIM: Door = Door::new("rjobs._map_loop", "trim");
pub(crate) static GROUP_TEXT: Door = Door::new("rjobs._map_loop", "describe");
pub(crate) static CHAIN: Door = Door::new("itertools", "chain");
pub(crate) static ZIP: Door = Door::new("builtins", "zip");
