//! Which job is meant: by its number, from the end, by its name, or by the `Job` itself.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PySlice, PyString};

use super::errors::{self, UnknownJob};
use super::held;
use super::job::Job;
use super::manager::JobManager;
use super::options::Quoted;
use super::{shim, text};

/// Names that are looked at for one that is like another; more help nobody.
const NAMES: usize = 1000;

impl JobManager {
    /// The job that a number, a name or a `Job` means, if it is one of ours. Numbers below 0 count from the newest.
    pub(crate) fn find<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Job>> {
        let py = key.py();
        if let Ok(job) = key.cast::<Job>() {
            return if self.has(job) {
                Ok(job.clone())
            } else {
                Err(self.not_ours(job))
            };
        }
        if let Ok(name) = key.cast::<PyString>() {
            return self.named(name);
        }
        if key.is_instance_of::<PyBool>() {
            return Err(no_key(key));
        }
        // operator.index: numpy's integers are numbers too, 1.0 is none.
        let number = shim::INDEX
            .call(py, (key,))
            .ok()
            .and_then(|number| number.cast_into::<PyInt>().ok())
            .ok_or_else(|| no_key(key))?;
        let found = match number.extract::<i64>() {
            Ok(number) if number < 0 => {
                let back = usize::try_from(number.unsigned_abs() - 1).unwrap_or(usize::MAX);
                self.registry.nth_newest(back, |job| job.clone_ref(py))
            }
            // One that is larger than any number there is, is nobody's.
            _ => number
                .extract::<u64>()
                .ok()
                .and_then(|number| self.registry.with(number, |job| job.clone_ref(py))),
        };
        found
            .map(|job| job.into_bound(py))
            .ok_or_else(|| self.unknown_number(&number))
    }

    /// Whether it is kept here.
    fn has(&self, job: &Bound<'_, Job>) -> bool {
        let number = job.get().record.number();
        self.registry
            .with(number, |kept| kept.is(job))
            .unwrap_or(false)
    }

    /// `in`: no negative number is a job's.
    pub(crate) fn is_known(&self, key: &Bound<'_, PyAny>) -> bool {
        let is_from_end = key.is_instance_of::<PyInt>() && key.lt(0).unwrap_or(false);
        !is_from_end && self.find(key).is_ok()
    }

    fn not_ours(&self, job: &Bound<'_, Job>) -> PyErr {
        let number = job.get().record.number();
        if Arc::ptr_eq(&job.get().house, &self.house) {
            return UnknownJob::new_err(format!(
                "job {number} is not known here any more: it was removed or flushed, and is its own: job.kill(), job.get(), ..."
            ));
        }
        UnknownJob::new_err(format!(
            "job {number} is not known here: it is another manager's, so ask that one, or the Job itself (job.kill(), \
             job.get(), ...)"
        ))
    }

    fn unknown_number(&self, number: &Bound<'_, PyInt>) -> PyErr {
        let known = self.registry.len();
        if number.lt(0).unwrap_or(false) {
            let count = if known == 1 {
                "1 job".to_owned()
            } else {
                format!("{known} jobs")
            };
            return UnknownJob::new_err(format!(
                "job {number} is not known here: there are {count}, and -1 is the newest"
            ));
        }
        let was_given_out = number
            .extract::<u64>()
            .is_ok_and(|number| number < self.registry.next_number());
        if was_given_out {
            return UnknownJob::new_err(format!(
                "job {number} is not known here any more: it was removed or flushed; see jobs.status() for those that are"
            ));
        }
        errors::unknown_job(number)
    }

    /// The newest job of that name.
    fn named<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, Job>> {
        let py = name.py();
        let wanted = text::lossy(name);
        let is_so = |job: &Py<Job>| {
            let job = job.get();
            match &job.given_name {
                Some(given) => **given == *wanted,
                None => PyAnyMethods::eq(job.label.name.bind(py).as_any(), name).unwrap_or(false),
            }
        };
        // Looked at after the registry was left, since the names of functions are Python's.
        let jobs = self.select(py, |_| true);
        match jobs.into_iter().rev().find(is_so) {
            Some(job) => Ok(job.into_bound(py)),
            None => Err(self.unknown_name(name)),
        }
    }

    /// The names of the newest jobs, the newest first, each once.
    pub(crate) fn names(&self, py: Python<'_>) -> Vec<String> {
        let jobs = self
            .registry
            .collect_newest(NAMES, |job| Some(job.clone_ref(py)));
        let mut seen = std::collections::HashSet::new();
        let names = jobs.iter().map(|job| job.get().shown_name(py));
        names.filter(|name| seen.insert(name.clone())).collect()
    }

    fn unknown_name(&self, name: &Bound<'_, PyString>) -> PyErr {
        let shown = text::lossy(name);
        let digits = shown.strip_prefix('-').unwrap_or(&shown);
        let hint = if !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit()) {
            format!(": a number has no quotes, jobs[{shown}]")
        } else {
            did_you_mean(name.py(), &shown, &self.names(name.py()))
        };
        UnknownJob::new_err(format!("no job here has the name {}{hint}", Quoted(&shown)))
    }
}

/// What is no way to mean a job.
fn no_key(key: &Bound<'_, PyAny>) -> PyErr {
    let hint = if key.is_instance_of::<PySlice>() {
        ": list(jobs)[-3:] gives several"
    } else if key.hasattr("job").unwrap_or(false) {
        ": its `job` is one"
    } else {
        ""
    };
    let kind = key
        .get_type()
        .qualname()
        .map_or_else(|_| "?".to_owned(), |kind| kind.to_string());
    PyTypeError::new_err(format!(
        "a job is meant by its number or by the Job itself, or by its name, and not by {kind}{hint}"
    ))
}

/// ": did you mean 'x'?", or nothing where nothing is like it.
pub(crate) fn did_you_mean(py: Python<'_>, word: &str, words: &[String]) -> String {
    // It is a help only: what goes wrong there is not to take the place of the error itself. It imports.
    held::undisturbed(py, || shim::DID_YOU_MEAN.call(py, (word, words.to_vec())))
        .and_then(|text| text.extract::<String>())
        .unwrap_or_default()
}
