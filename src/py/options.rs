//! The options of a job: what `new(**options)` and `options(**options)` take.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyNotImplementedError, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyString};

use super::compose;
use super::held;
use super::job::Job;
use super::keep_frames::KeepFrames;
use super::manager::JobManager;
use super::misuse::unknown_option;
use super::seconds;
use super::shim::{self, Opened};
use super::text;
use crate::core::limits::Names;

use super::manager::count_of;

/// How a job is run.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) name: Option<Box<str>>,
    /// Of the run.
    pub(crate) timeout: Option<Duration>,
    /// False: the end of the program waits for the job; True: it ends it; None: as the manager has it.
    pub(crate) daemon: Option<bool>,
    /// What it prints goes where it would go without a job, as well.
    pub(crate) echo: bool,
    /// How many of its values may wait to be read; None for the default.
    pub(crate) buffersize: Option<usize>,
    pub(crate) more: Option<Box<More>>,
}

/// What few jobs ask for.
#[derive(Debug, Default)]
pub(crate) struct More {
    pub(crate) rank: i32,
    pub(crate) ttl: Option<Duration>,
    pub(crate) result_ttl: Option<Duration>,
    pub(crate) retries: u32,
    /// A tenacity policy, in the place of a count.
    pub(crate) policy: Option<Py<PyAny>>,
    pub(crate) after: Vec<Py<Job>>,
    pub(crate) limits: Option<Names>,
    pub(crate) cache: Option<Py<PyAny>>,
    pub(crate) lock: Option<Py<PyAny>>,
    pub(crate) keep_frames: Option<KeepFrames>,
    /// Of `every`, which is no option.
    pub(crate) every: Option<Duration>,
    /// Of `then`, which is no option: the job whose result is the first argument.
    pub(crate) feeds: Option<Py<Job>>,
}

pub(crate) const KNOWN: [&str; 14] = [
    "name",
    "timeout",
    "daemon",
    "after",
    "priority",
    "limit",
    "ttl",
    "result_ttl",
    "retry",
    "cache",
    "lock",
    "buffersize",
    "echo",
    "keep_frames",
];
/// Part of the contract, and not built yet.
pub(crate) const PLANNED: [&str; 2] = ["on", "profile"];

impl Options {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            name: self.name.clone(),
            timeout: self.timeout,
            daemon: self.daemon,
            echo: self.echo,
            buffersize: self.buffersize,
            more: self.more.as_ref().map(|more| Box::new(more.clone_ref(py))),
        }
    }

    /// What few jobs ask for, to be changed.
    pub(crate) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// These options with `given` on top. `manager` is whose jobs and limits they may name.
    pub(crate) fn with(&self, manager: &JobManager, given: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut options = self.clone_ref(given.py());
        for (key, value) in given {
            let key = key.cast_into::<PyString>()?;
            options.set(manager, &key.to_string_lossy(), &value)?;
        }
        Ok(options)
    }

    fn set(&mut self, manager: &JobManager, key: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match key {
            "name" => self.name = name(value)?,
            "timeout" => self.timeout = seconds::above_0(key, value, "for no limit")?,
            "daemon" => self.daemon = Some(flag(key, value)?),
            "echo" => self.echo = flag(key, value)?,
            "buffersize" => self.buffersize = buffersize(value)?,
            "ttl" => {
                self.more().ttl = seconds::above_0(key, value, "to wait as long as it takes")?;
            }
            "result_ttl" => self.more().result_ttl = seconds::from_0(key, value, "to be kept")?,
            "priority" => self.more().rank = rank(value)?,
            "retry" => self.retry(value)?,
            "after" => self.more().after = after(manager, value)?,
            "limit" => self.more().limits = limits(manager, value)?,
            "cache" => {
                self.more().cache = Some(value.clone().unbind()).filter(|_| !value.is_none());
            }
            "lock" => self.more().lock = lock(value)?,
            "keep_frames" => {
                self.more().keep_frames = Some(KeepFrames::from_object(value)?);
            }
            // Of `%job --every`.
            "_every" => compose::repeat(self, value)?,
            planned if PLANNED.contains(&planned) => {
                return Err(PyNotImplementedError::new_err(format!(
                    "the option {} is not built yet in this version of rjobs; it has: {}",
                    Quoted(planned),
                    KNOWN.join(", ")
                )));
            }
            unknown => {
                return Err(unknown_option(value.py(), unknown));
            }
        }
        Ok(())
    }

    fn retry(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let more = self.more();
        (more.retries, more.policy) = (0, None);
        if value.is_none() {
            return Ok(());
        }
        // Here and now, so that no worker has to import it.
        shim::open(value.py(), Opened::Again)?;
        let wanted = "a number of tries after the first, 0 or more, or a tenacity policy such as \
                      tenacity.Retrying(stop=...)";
        if value.is_instance_of::<PyBool>() {
            return Err(wrong("retry", wanted, value));
        }
        if let Ok(count) = value.cast::<PyInt>() {
            more.retries = match count.extract::<u32>() {
                Ok(count) => count,
                Err(_) if count.gt(0)? => u32::MAX,
                Err(_) => {
                    return Err(PyValueError::new_err(format!(
                        "retry must be {wanted}; got {count}"
                    )));
                }
            };
            return Ok(());
        }
        if !shim::IS_RETRY_POLICY
            .call(value.py(), (value,))?
            .is_truthy()?
        {
            return Err(wrong("retry", wanted, value));
        }
        more.policy = Some(value.clone().unbind());
        Ok(())
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(more) = &self.more else {
            return Ok(());
        };
        for job in more.after.iter().chain(&more.feeds) {
            visit.call(job)?;
        }
        visit.call(&more.policy)?;
        visit.call(&more.cache)?;
        visit.call(&more.lock)
    }
}

impl More {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        let object =
            |object: &Option<Py<PyAny>>| object.as_ref().map(|object| object.clone_ref(py));
        Self {
            rank: self.rank,
            ttl: self.ttl,
            result_ttl: self.result_ttl,
            retries: self.retries,
            policy: object(&self.policy),
            after: self.after.iter().map(|job| job.clone_ref(py)).collect(),
            limits: self.limits.clone(),
            cache: object(&self.cache),
            lock: object(&self.lock),
            keep_frames: self.keep_frames,
            every: self.every,
            feeds: self.feeds.as_ref().map(|job| job.clone_ref(py)),
        }
    }
}

fn flag(option: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let flag = value.cast::<PyBool>();
    Ok(flag
        .map_err(|_| wrong(option, "True or False", value))?
        .is_true())
}

/// True, False, or None for neither.
pub(crate) fn choice(option: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    if value.is_none() {
        return Ok(None);
    }
    let flag = value.cast::<PyBool>();
    let flag = flag.map_err(|_| wrong(option, "True, False or None", value));
    Ok(Some(flag?.is_true()))
}

fn name(value: &Bound<'_, PyAny>) -> PyResult<Option<Box<str>>> {
    if value.is_none() {
        return Ok(None);
    }
    let name = value
        .cast::<PyString>()
        .map_err(|_| wrong("name", "a str or None", value))?;
    Ok(Some(text::lossy(name).into()))
}

fn buffersize(value: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if value.is_none() {
        return Ok(None);
    }
    count_of("buffersize", value, 1, "1 or more, or None").map(Some)
}

fn rank(value: &Bound<'_, PyAny>) -> PyResult<i32> {
    let rank = value
        .cast::<PyInt>()
        .ok()
        .filter(|rank| !rank.is_instance_of::<PyBool>())
        .ok_or_else(|| {
            wrong(
                "priority",
                "an int: higher ones run first, 0 is usual",
                value,
            )
        })?;
    rank.extract().map_err(|_| {
        PyValueError::new_err(format!(
            "priority must be between {} and {}; got {rank}",
            i32::MIN,
            i32::MAX
        ))
    })
}

/// A job, a number or a name, or an iterable of these.
fn after(manager: &JobManager, value: &Bound<'_, PyAny>) -> PyResult<Vec<Py<Job>>> {
    if value.is_none() {
        return Ok(Vec::new());
    }
    if let Ok(job) = value.cast::<Job>() {
        return Ok(vec![job.clone().unbind()]);
    }
    if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyString>() {
        return Ok(vec![manager.find(value)?.unbind()]);
    }
    let jobs = value.try_iter().map_err(|_| {
        wrong(
            "after",
            "a Job, the number or name of one, or an iterable of these",
            value,
        )
    })?;
    let mut after = Vec::new();
    for job in jobs {
        let job = job?;
        // Another manager's job is as good to wait for.
        after.push(match job.cast::<Job>() {
            Ok(job) => job.clone().unbind(),
            Err(_) => manager.find(&job)?.unbind(),
        });
    }
    Ok(after)
}

/// The name of a limit, or an iterable of names; each has to be there.
fn limits(manager: &JobManager, value: &Bound<'_, PyAny>) -> PyResult<Option<Names>> {
    if value.is_none() {
        return Ok(None);
    }
    let wanted = "the name of a limit, or an iterable of names";
    let mut names: Vec<Arc<str>> = Vec::new();
    if let Ok(name) = value.cast::<PyString>() {
        names.push((&*text::lossy(name)).into());
    } else {
        for name in value
            .try_iter()
            .map_err(|_| wrong("limit", wanted, value))?
        {
            let name = name?;
            let name = name
                .cast::<PyString>()
                .map_err(|_| wrong("limit", wanted, &name))?;
            names.push((&*text::lossy(name)).into());
        }
    }
    names.sort();
    names.dedup();
    let limits = &manager.house.limits;
    if let Some(unknown) = names.iter().find(|name| !limits.knows(name)) {
        let known = limits.names();
        let known = if known.is_empty() {
            "there is none yet".to_owned()
        } else {
            format!("there are {}", known.join(", "))
        };
        return Err(PyValueError::new_err(format!(
            "there is no limit {}: {known}. Make it first, with jobs.limit({}, concurrency=..., rate=...)",
            Quoted(unknown),
            Quoted(unknown)
        )));
    }
    Ok(Some(names.into()).filter(|names: &Names| !names.is_empty()))
}

/// A path of a lock file, or a context manager.
fn lock(value: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    if value.is_none() {
        return Ok(None);
    }
    // Held: it may import what locks files.
    let lock = held::held(value.py(), || shim::MAKE_LOCK.call(value.py(), (value,)))?;
    Ok(Some(lock.unbind()))
}

pub(crate) fn wrong(option: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let kind = value.get_type();
    let kind = kind
        .qualname()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{option} must be {wanted}, not {kind}"))
}

/// A name in quotes, as Python shows it.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "'{}'", self.0.escape_debug())
    }
}
