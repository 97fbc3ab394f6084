//! `JobManager`: making jobs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyString, PyTuple};

use super::entrance::Blueprint;
use super::house::House;
use super::job::Job;
use super::keep_frames::KeepFrames;
use super::misuse::{must_be_callable, must_take};
use super::news::News;
use super::options::{self, Options};
use super::pickling::given_with;
use super::seconds::{self, Given};
use super::shim::{self, Opened};
use super::view::ManagerView;
use crate::core::backlog::Backlog;
use crate::core::registry::Registry;

/// Workers that a manager has at most, unless told otherwise: enough that `%job` starts at once, few enough that a slip
/// (a million jobs) does not make a million threads. The number is arbitrary.
const MAX_WORKERS: usize = 128;

/// How long a worker without work stays, unless told otherwise.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of output kept per job, unless told otherwise: 1 MiB.
const OUTPUT_LIMIT: usize = 1 << 20;

/// Runs Python callables and code on threads, and keeps a record of each: the registry.
///
/// A drop-in for `IPython.lib.backgroundjobs.BackgroundJobManager`. `max_workers` (default 128) bounds the threads; they
/// start by need, and leave after `idle_timeout` seconds without work. `output_limit` is how many bytes of its output each
/// job keeps. Records stay until `remove` or `flush`; numbers are never reused. At most `max_queued` jobs (default: no bound)
/// wait for their start: with `on_full='block'` one more waits in the call that submits it, with 'reject' that call raises
/// `QueueFull`, which gives the work back; jobs that jobs of this manager submit never wait there, and come on top. The end of
/// the program ends the jobs with `daemon=True`, and waits for them with False, until Ctrl-C; the default is True where one works
/// interactively (IPython, a kernel, `python -i`), and False in a script. Raises `ValueError` for numbers that make no sense.
#[pyclass(frozen, subclass, weakref, module = "rjobs")]
#[derive(Debug)]
pub struct JobManager {
    pub(crate) house: Arc<House>,
    pub(crate) registry: Arc<Registry<Py<Job>>>,
    pub(crate) news: Arc<News>,
}

impl Drop for JobManager {
    fn drop(&mut self) {
        // Nobody can submit any more: workers finish what is queued and leave. In the child of a fork there are none, and
        // one of the parent's may have held the lock.
        if self.house.is_here() {
            self.house.close();
            // They would go on for ever, and nobody could end them.
            let ended = Python::try_attach(|py| self.end_schedules(py));
            // None: the interpreter is gone, and they with it.
            let _ = ended;
        }
    }
}

impl JobManager {
    /// Options as they were given, on top of none.
    pub(crate) fn options_of(&self, given: Option<&Bound<'_, PyDict>>) -> PyResult<Options> {
        given.map_or_else(
            || Ok(Options::default()),
            |given| Options::default().with(self, given),
        )
    }

    /// `new`, under options.
    pub(crate) fn new_job<'py>(
        &self,
        what: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kw: Option<&Bound<'py, PyAny>>,
        options: &Options,
    ) -> PyResult<Bound<'py, Job>> {
        let py = what.py();
        if let Ok(source) = what.cast::<PyString>() {
            if kw.is_some_and(|kw| !kw.is_none()) {
                return Err(PyTypeError::new_err(
                    "kw= goes with a function, and this job is code",
                ));
            }
            // One frame up from `prepare` is the caller of `new`: native methods have no frame.
            let prepared = shim::PREPARE_CODE.call(py, (source, args))?;
            let (runner, code, globals, locals) =
                prepared.extract::<(Bound<'py, PyAny>, Py<PyAny>, Py<PyAny>, Py<PyAny>)>()?;
            let namespaces = Some(Box::new((globals, locals)));
            return self.add(
                py,
                Blueprint::of_code(source, runner, Some(code), namespaces),
                options,
            );
        }
        let kwargs = match kw {
            Some(kw) if !kw.is_none() => {
                let kwargs = PyDict::new(py);
                kwargs.update(kw.cast().map_err(|_| {
                    PyTypeError::new_err("kw must be a mapping of the function's keyword arguments")
                })?)?;
                Some(kwargs)
            }
            _ => None,
        };
        must_be_callable(what, "new")?;
        self.call_job(what, args, kwargs, options)
    }

    /// `submit`, under options.
    pub(crate) fn submit_job<'py>(
        &self,
        callable: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
        options: &Options,
    ) -> PyResult<Bound<'py, Job>> {
        must_be_callable(callable, "submit")?;
        must_take(callable, kwargs.as_ref(), "submit(f, ...)")?;
        self.call_job(callable, args, kwargs, options)
    }

    /// A job that calls what is callable.
    pub(crate) fn call_job<'py>(
        &self,
        callable: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
        options: &Options,
    ) -> PyResult<Bound<'py, Job>> {
        let blueprint = Blueprint::of_call(callable, args, kwargs);
        self.add(callable.py(), blueprint, options)
    }
}

/// A whole number of at least `least`; one beyond what the machine counts is as good as the largest.
pub(crate) fn count_of(
    name: &str,
    value: &Bound<'_, PyAny>,
    least: usize,
    wanted: &str,
) -> PyResult<usize> {
    // As an index is read: numpy's integers are numbers, too, and 1.0 is none.
    let number = match value.cast::<PyInt>() {
        Ok(number) if !number.is_instance_of::<PyBool>() => Ok(number.clone()),
        Ok(_) => Err(PyTypeError::new_err("a bool")),
        Err(_) => shim::INDEX
            .call(value.py(), (value,))
            .and_then(|number| Ok(number.cast_into::<PyInt>()?)),
    };
    let number = number.map_err(|_| {
        let kind = value
            .get_type()
            .qualname()
            .map_or_else(|_| "?".to_owned(), |kind| kind.to_string());
        PyTypeError::new_err(format!("{name} must be an int, not {kind}"))
    })?;
    let count = match number.extract::<usize>() {
        Ok(count) => Some(count),
        Err(_) if number.gt(0)? => Some(usize::MAX),
        Err(_) => None,
    };
    count
        .filter(|count| *count >= least)
        .ok_or_else(|| PyValueError::new_err(format!("{name} must be {wanted}; got {number}")))
}

#[pymethods]
impl JobManager {
    #[new]
    #[pyo3(
        signature = (
            max_workers = None, *, idle_timeout = Given::Default, output_limit = None, max_queued = None, on_full = "block",
            daemon = None, keep_frames = None
        ),
        text_signature = "(max_workers=None, *, idle_timeout=10.0, output_limit=1048576, max_queued=None, on_full='block', daemon=None, keep_frames='failed')"
    )]
    #[expect(clippy::too_many_arguments, reason = "one for each of Python's")]
    fn py_new(
        py: Python<'_>,
        max_workers: Option<&Bound<'_, PyAny>>,
        idle_timeout: Given<'_>,
        output_limit: Option<&Bound<'_, PyAny>>,
        max_queued: Option<&Bound<'_, PyAny>>,
        on_full: &str,
        daemon: Option<&Bound<'_, PyAny>>,
        keep_frames: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let max_workers = match max_workers {
            None => MAX_WORKERS,
            Some(count) => count_of("max_workers", count, 1, "1 or more, or None")?,
        };
        let limit = match output_limit {
            None => OUTPUT_LIMIT,
            Some(limit) => count_of("output_limit", limit, 0, "0 bytes or more")?,
        };
        let backlog = max_queued
            .filter(|most| !most.is_none())
            .map(|most| count_of("max_queued", most, 1, "1 or more, or None"))
            .transpose()?
            .map(Backlog::new);
        if !["block", "reject"].contains(&on_full) {
            return Err(PyValueError::new_err(format!(
                "on_full must be 'block' or 'reject', not '{}'",
                on_full.escape_debug()
            )));
        }
        let daemon = daemon.map_or(Ok(None), |daemon| options::choice("daemon", daemon))?;
        let keep_frames = keep_frames.map(KeepFrames::from_object).transpose()?;
        let idle = match idle_timeout {
            Given::Default => IDLE_TIMEOUT,
            // Without end: workers stay.
            Given::Value(time) => seconds::from_0("idle_timeout", &time, "for workers that stay")?
                .unwrap_or(seconds::FOR_EVER),
        };
        // Before any worker needs them: none is to import.
        shim::open(py, Opened::Manager)?;
        shim::open_what_asyncio_brings(py);
        // PyO3 imports `datetime` for the first time that it makes; what it makes is not needed.
        shim::importing(py, || SystemTime::UNIX_EPOCH.into_pyobject(py).map(drop))?;
        shim::INSTALL_LIFECYCLE.call(py, ())?;
        shim::INSTALL_CAPTURE.call(py, ())?;
        let registry = Arc::new(Registry::new());
        let news = Arc::new(News::default());
        let house = House::new(
            max_workers,
            idle,
            limit,
            (backlog, on_full == "block"),
            daemon,
            &registry,
            &news,
        );
        if let Some(keep) = keep_frames {
            house.keep_frames.set(keep);
        }
        Ok(Self {
            house,
            registry,
            news,
        })
    }

    /// Start a job: a callable with its arguments, or code as a string. Returns the `Job` at once.
    ///
    /// `new(f, x, y, kw={'z': 1})` calls `f(x, y, z=1)`. `new('code')` runs code in the caller's namespaces,
    /// `new('code', glob)` and `new('code', glob, loc)` in others; it may hold statements and top-level `await`, and the
    /// value of a last expression is the result. An expression sees the values that its names have now, also in a later
    /// `retry()`; names that are not bound yet, and all names of statements, are looked up when the job runs.
    /// Keyword arguments of the function do not go here, but into `kw`, or to `submit`. What goes here are options:
    ///
    /// - `name` (str), `timeout` (seconds of the run, default none), `daemon` (True: the end of the program ends the job; False:
    ///   it waits for it; default: as the manager has it);
    /// - `after` (jobs, numbers or names: it starts when all of them are done, and is 'skipped' when one ends otherwise),
    ///   `priority` (int, default 0: higher ones are taken from the queue first), `limit` (names made by `limit()`);
    /// - `ttl` (seconds that it may wait for its first run, then it is 'expired'), `result_ttl` (seconds that its record is
    ///   kept after its end);
    /// - `retry` (how often a failed or timed-out run is tried again, with exponential back-off and jitter, 0.2 to 60 seconds;
    ///   or a `tenacity.Retrying`): waiting between tries holds no worker;
    /// - `cache` (a mapping of results: a call that is in it is answered from it, one that runs now is joined: then the `Job`
    ///   that runs is returned), `lock` (a path: held as a lock file between processes while the function runs, by
    ///   fasteners; or a context manager);
    /// - `keep_frames` (True, False or 'failed': whether what it raised keeps its frames, for `debug()`; default: as the manager
    ///   has it), `echo` (True: what it prints goes where it would go without a job, as well),
    ///   `buffersize` (how many values that the job yields or sends may wait to be read, default 1,000).
    ///
    /// The job runs in a copy of the caller's contextvars. The values that a generator function yields are read by
    /// `for x in job`, and what it returns is the result. A coroutine function (`async def`, also as a method, a partial or an
    /// object's `__call__`) runs on no worker, but with all others of the manager on one event loop, on a thread that the first
    /// of them starts: thousands at a time, whatever `max_workers` is. One that computes or blocks without `await` holds up the
    /// others. What it leaves behind (tasks, asynchronous generators) is ended with it, as by `asyncio.run`. A coroutine that any
    /// other call returns, and code with top-level `await`, has an event loop of its own, on a worker.
    /// Raises `SyntaxError` for code that does not compile, `TypeError` for what is neither callable nor str and for unknown
    /// options, `ManagerClosed` after `shutdown()`. Does not block.
    #[pyo3(name = "new", signature = (func_or_exp, /, *args, kw = None, **options))]
    fn new_from_python<'py>(
        &self,
        func_or_exp: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kw: Option<&Bound<'py, PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Job>> {
        match options {
            None => self.new_job(func_or_exp, args, kw, &Options::default()),
            Some(options) => self.new_job(
                func_or_exp,
                args,
                kw,
                &Options::default().with(self, options)?,
            ),
        }
    }

    /// Start `fn(*args, **kwargs)` as a job, and return it at once. All arguments are the function's; for options see
    /// `options()`.
    ///
    /// Raises `TypeError` when `fn` is not callable, `ManagerClosed` after `shutdown()`. Does not block.
    #[pyo3(signature = (r#fn, /, *args, **kwargs))]
    fn submit<'py>(
        &self,
        r#fn: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Job>> {
        self.submit_job(r#fn, args, kwargs, &Options::default())
    }

    /// This manager under options: a view with the same `new` and `submit`, whose jobs all get them. So options and the
    /// function's own arguments never collide. Raises as `new` does for options.
    #[pyo3(signature = (**options))]
    fn options(me: Bound<'_, Self>, options: Option<&Bound<'_, PyDict>>) -> PyResult<ManagerView> {
        let given = given_with(me.py(), None, options)?;
        let options = me.get().options_of(options)?;
        Ok(ManagerView::new(me.unbind(), options, given))
    }

    /// For `%job`: a job that calls `runner()`, and shows `source`.
    #[pyo3(signature = (runner, source, *, code = None, glob = None, loc = None, options = None))]
    fn _new_code<'py>(
        &self,
        runner: Bound<'py, PyAny>,
        source: &Bound<'py, PyString>,
        code: Option<Py<PyAny>>,
        glob: Option<Py<PyAny>>,
        loc: Option<Py<PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Job>> {
        let py = source.py();
        let options = self.options_of(options)?;
        let namespaces = glob.map(|glob| {
            let loc = loc.unwrap_or_else(|| glob.clone_ref(py));
            Box::new((glob, loc))
        });
        self.add(
            py,
            Blueprint::of_code(source, runner, code, namespaces),
            &options,
        )
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.news.traverse(&visit)?;
        self.registry.try_each(|job| visit.call(job)).map(drop)
    }

    fn __clear__(&self) {
        let gone = self.registry.remove_where(|_| true);
        drop(gone);
        self.news.clear();
    }
}
