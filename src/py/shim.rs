//! The doors to the Python half: functions and classes of modules, looked up once, and when their modules are imported.
//!
//! An import may fail (no file descriptor is left, `sys.meta_path` is gone at the end of the interpreter), a kill may land in
//! it, and it may take long. So what workers, killers, timers, waits and ends go through is open before any of them is there.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use super::held;
use crate::core::once::Once;
use crate::interrupt::call;

/// When a door is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    /// When rjobs is imported: of modules that it brings with it anyway.
    Import,
    /// With the first manager.
    Manager,
    /// By who submits a coroutine function, before the job is accepted.
    Coroutine,
    /// By who submits what is known to have an event loop of its own; and with a manager or a worker once asyncio is there.
    /// Else, for a call that turns out to return a coroutine, on the worker: there a failure is the job's.
    OwnLoop,
    /// By who asks for `retry=` or `every`.
    Again,
    /// By who makes a group.
    Map,
    /// By whoever asks for what is behind it, which is the user's own code, and gets what goes wrong.
    Asked,
}

/// A function or a class of a module, looked up once.
pub(crate) struct Door {
    module: &'static str,
    name: &'static str,
    opened: Opened,
    found: Once<Py<PyAny>>,
}

impl Door {
    const fn new(module: &'static str, name: &'static str, opened: Opened) -> Self {
        Self {
            module,
            name,
            opened,
            found: Once::new(),
        }
    }

    /// The function.
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        let find = || {
            let module = py.import(self.module)?;
            module.getattr(self.name).map(Bound::unbind)
        };
        let found = self.found.get_or_try_make(|| importing(py, find))?;
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

/// How many doors are being opened, by threads of this process.
static OPENING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// And by this one.
    static MINE: Cell<usize> = const { Cell::new(0) };
}

/// Do what may import a module. Forks wait for it, and kills: one in the middle would leave the module broken for the process.
pub(crate) fn importing<R>(py: Python<'_>, import: impl FnOnce() -> R) -> R {
    let _opening = Opening::begin();
    held::undisturbed(py, import)
}

/// Somebody is at a door: the module may be half imported.
struct Opening;

impl Opening {
    fn begin() -> Self {
        MINE.set(MINE.get() + 1);
        OPENING.fetch_add(1, Ordering::AcqRel);
        Self
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        MINE.set(MINE.get() - 1);
        OPENING.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How long a fork waits for other threads to be done with doors.
const PATIENCE: Duration = Duration::from_secs(1);

/// Before a fork: the child finds the lock of a module that another thread imports locked for ever. So these come first; but for
/// one that waits for the forking thread itself.
pub(crate) fn before_fork(py: Python<'_>) {
    let deadline = Instant::now() + PATIENCE;
    while OPENING.load(Ordering::Acquire) > MINE.get() && Instant::now() < deadline {
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
    }
}

/// In the child of a fork: of all threads only the calling one is here.
pub(crate) fn after_fork_in_child() {
    OPENING.store(MINE.get(), Ordering::Release);
}

/// Open all doors that are opened at this time. An error says that one could not be, and nothing depends on it yet.
pub(crate) fn open(py: Python<'_>, when: Opened) -> PyResult<()> {
    for door in ALL.iter().filter(|door| door.opened == when) {
        door.get(py)?;
    }
    Ok(())
}

/// Open those of event loops of jobs' own, if that costs next to nothing: asyncio is there already.
pub(crate) fn open_what_asyncio_brings(py: Python<'_>) {
    if RUN_ASYNC_GENERATOR.found.get().is_some() {
        return;
    }
    let modules = py.import("sys").and_then(|sys| sys.getattr("modules"));
    if modules.is_ok_and(|modules| modules.contains("asyncio").unwrap_or(false)) {
        // Where it cannot be had now, the job that needs it says so.
        let _ = open(py, Opened::OwnLoop);
    }
}

/// For the tests: each door as its module, its name, when it is opened, and whether it is open.
#[pyfunction]
pub(crate) fn _doors() -> Vec<(&'static str, &'static str, String, bool)> {
    let tell = |door: &&Door| {
        let when = format!("{:?}", door.opened).to_lowercase();
        (door.module, door.name, when, door.found.get().is_some())
    };
    ALL.iter().map(tell).collect()
}

macro_rules! doors {
    ($($opened:ident { $($name:ident = $module:literal, $attribute:literal;)* })*) => {
        $($(pub(crate) static $name: Door = Door::new($module, $attribute, Opened::$opened);)*)*
        static ALL: &[&Door] = &[$($(&$name),*),*];
    };
}

doors! {
    Import {
        METHOD = "types", "MethodType";
        PARTIAL = "functools", "partial";
        COROUTINE = "types", "CoroutineType";
        GENERATOR = "types", "GeneratorType";
        ASYNC_GENERATOR = "types", "AsyncGeneratorType";
        INDEX = "operator", "index";
        PRINT = "builtins", "print";
        CHAIN = "itertools", "chain";
        ZIP = "builtins", "zip";
        STACK_SIZE = "threading", "stack_size";
        MAIN_THREAD = "threading", "main_thread";
    }
    Manager {
        START_WORKER = "rjobs._threads", "start_worker";
        SLEEP_IN_GREENLET = "rjobs._threads", "sleep_in_greenlet";
        TRIM = "rjobs._near", "trim";
        TIDY_THREAD = "rjobs._near", "tidy_thread";
        NOTHING = "rjobs._near", "nothing";
        CALL_ON_KILL = "rjobs._near", "call_on_kill";
        FIND_CANCELLER = "rjobs._cancellers", "find";
        FIND_NATIVE_CANCELLER = "rjobs._cancellers", "find_native";
        ARE_GONE = "rjobs._lifecycle", "are_gone";
        EXCEPTION_IN_CALLBACK = "rjobs._near", "exception_in_callback";
        IS_MADE_BY = "rjobs._near", "is_made_by";
        IS_IN_LOOP = "rjobs._near", "is_in_loop";
        HOOK_STREAMS = "rjobs._capture", "hook_streams";
        INSTALL_CAPTURE = "rjobs._capture", "install";
        INSTALL_LIFECYCLE = "rjobs._lifecycle", "install";
        IS_INTERACTIVE = "rjobs._lifecycle", "is_interactive";
        HAS_OTHER_THREADS = "rjobs._lifecycle", "has_other_threads";
        BELONGINGS = "rjobs._troops", "Belongings";
        FORGET_THREAD = "rjobs._lifecycle", "forget_this_thread";
        IS_DAEMON = "rjobs._lifecycle", "is_daemon";
        WAITED = "rjobs._record", "Waited";
        NO_RESULT = "rjobs._no_result", "NoResult";
        LOG_ERROR = "rjobs._record", "log_error";
        TO_DICT = "rjobs._record", "to_dict";
        CANCELLED_ERROR = "concurrent.futures", "CancelledError";
    }
    Coroutine {
        RUN_LOOP = "rjobs._loop", "run";
        TIDY = "rjobs._loop", "tidy";
        AWAITED = "rjobs._loop", "awaited";
        THROWN = "rjobs._loop", "thrown";
        IN_PLACE_OF = "rjobs._loop", "in_place_of";
        CANCELLED = "asyncio.exceptions", "CancelledError";
    }
    OwnLoop {
        RUN_COROUTINE = "rjobs._coroutines", "run_coroutine";
        RUN_ASYNC_GENERATOR = "rjobs._values", "run_async_generator";
    }
    Again {
        BACKOFF = "rjobs._retry", "backoff";
        TRIES = "rjobs._retry", "tries";
        FAILED_RUN = "rjobs._retry", "failed_run";
        IS_RETRY_POLICY = "rjobs._retry", "is_policy";
    }
    Map {
        MAP_RUN = "rjobs._map_loop", "run";
        MAP_RUN_STAR = "rjobs._map_loop", "run_star";
        MAP_RUN_ASYNC = "rjobs._map_loop", "run_async";
        MAP_RUN_ASYNC_STAR = "rjobs._map_loop", "run_async_star";
        MAP_IS_ASYNC = "rjobs._map_loop", "is_async";
        MAP_PULL = "rjobs._map_loop", "pull";
        MAP_READ_HERE = "rjobs._reading", "read_here";
        MAP_TRIM = "rjobs._map_loop", "trim";
        GROUP_TEXT = "rjobs._map_loop", "describe";
    }
    Asked {
        DID_YOU_MEAN = "rjobs._hints", "did_you_mean";
        KEYWORDS_NOT_TAKEN = "rjobs._hints", "keywords_not_taken";
        PREPARE_SHELL = "rjobs._shell", "prepare";
        PREPARE_CODE = "rjobs._code", "prepare";
        ASYNC_VALUES = "rjobs._values", "AsyncValues";
        MAKE_FUTURE = "rjobs._future", "make_future";
        AWAIT_JOB = "rjobs._future", "await_job";
        STACK = "rjobs._stack", "stack";
        NATIVE_CALL = "rjobs._call", "native_call";
        STATUS = "rjobs._display", "status";
        STATUS_NEW = "rjobs._display", "status_new";
        FOLLOW = "rjobs.notebook.following", "show_follow";
        DEBUG = "rjobs._debug", "debug";
        NEWS_LIVE = "rjobs._news", "live";
        JOB_HTML = "rjobs._display", "job_html";
        JOB_TEXT = "rjobs._display", "job_text";
        MANAGER_HTML = "rjobs._display", "manager_html";
        PANEL = "rjobs._panel", "open_panel";
        MANAGER_TEXT = "rjobs._display", "manager_text";
        FORMAT_EXCEPTION = "rjobs._display", "format_exception";
        MAKE_LOCK = "rjobs._locks", "make_lock";
        UNDER_LOCK = "rjobs._locks", "UnderLock";
        CLAIM = "rjobs._cache", "claim";
        UNPICKLED_MANAGER = "rjobs._unpickled", "manager";
        UNPICKLED_VIEW = "rjobs._unpickled", "view";
    }
}
