//! What the panel asks of a manager: a window of its jobs, and to be woken when there are others.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::counts::Counts;
use super::job::Job;
use super::manager::JobManager;
use super::wait::{self, Patience};
use super::{shim, text};
use crate::core::state::State;

impl Job {
    /// Whether somebody who looks for `text`, in lower case, means this job: by its name, or by its number.
    fn is_meant(&self, py: Python<'_>, text: &str) -> bool {
        let is_number = |text: &str| self.record.number().to_string() == text;
        let name = match &self.given_name {
            Some(name) => name.to_lowercase(),
            None => text::lossy(self.label.name.bind(py)).to_lowercase(),
        };
        name.contains(text) || is_number(text.strip_prefix('#').unwrap_or(text))
    }
}

#[pymethods]
impl JobManager {
    /// Open the live panel of these jobs: in a notebook it shows them, follows them, and has a button to end each.
    ///
    /// Returns the panel, an anywidget, which shows itself as a cell's value; `panel.close()` ends it. `rows` (default 20) is
    /// how many jobs a page has: of very many jobs only a page of them, and counts by state, are ever sent to the browser.
    /// The same as `%jobs panel`. Does not block.
    ///
    /// Stop asks a running job to end, and kills it after 5 seconds; Kill ends it now; Cancel takes a queued one out; Retry runs
    /// the work of a job that did not end well again, as a new job. The rows go on while the notebook computes, and so do the
    /// buttons where a page can speak to the kernel's control channel (`JupyterLab`, Notebook 7); elsewhere the panel says that
    /// a click is done when the running cell ends. A long call in C that holds the GIL holds up the panel, too.
    ///
    /// Without the extra (`pip install "rjobs[panel]"`) the table is shown as it is now, with a line that says so, and in a
    /// terminal the table as text: None is returned then. Raises `ValueError` for `rows` below 1 or above 200.
    #[pyo3(signature = (rows = 20))]
    fn panel<'py>(me: &Bound<'py, Self>, rows: i64) -> PyResult<Bound<'py, PyAny>> {
        shim::PANEL.call(me.py(), (me, rows))
    }

    /// For the panel: the jobs in these states (None: in any) that `text` means ('': all of them), from `offset` on, `limit`
    /// of them at most; how many there are in each state; and how many the states and the text leave.
    ///
    /// Running ones come first, then queued ones, both by number, then the newest of the others.
    fn _window<'py>(
        &self,
        py: Python<'py>,
        states: Option<Vec<String>>,
        text: &str,
        offset: usize,
        limit: usize,
    ) -> PyResult<(Vec<Py<Job>>, Bound<'py, PyDict>, usize)> {
        let is_wanted = |state: State| {
            states
                .as_ref()
                .is_none_or(|names| names.iter().any(|name| name == state.name()))
        };
        let text = text.to_lowercase();
        // More of a kind than this are never shown; those that the text is looked for in are all of them.
        let most = if text.is_empty() {
            offset.saturating_add(limit)
        } else {
            usize::MAX
        };
        let mut counts = Counts::default();
        let mut queued = Vec::new();
        let mut jobs = self.registry.collect(|job| {
            let state = job.get().state();
            counts.add(state);
            if state == State::Queued && is_wanted(state) && queued.len() < most {
                queued.push(job.clone_ref(py));
            }
            (state == State::Running && is_wanted(state)).then(|| job.clone_ref(py))
        });
        jobs.append(&mut queued);
        let left = most.saturating_sub(jobs.len());
        jobs.extend(self.registry.collect_newest(left, |job| {
            let state = job.get().state();
            (state.is_terminal() && is_wanted(state)).then(|| job.clone_ref(py))
        }));
        let matched = if text.is_empty() {
            counts.sum(is_wanted)
        } else {
            jobs.retain(|job| job.get().is_meant(py, &text));
            jobs.len()
        };
        let shown = jobs.into_iter().skip(offset).take(limit).collect();
        Ok((shown, counts.to_dict(py, false)?, matched))
    }

    /// For the panel: wait until a job is added or forgotten, or `_wake` is called, or `timeout` seconds have passed (None: no
    /// limit). Returns a number for `seen` of the next call, which returns at once when it is not the newest.
    fn _await_news(
        &self,
        py: Python<'_>,
        seen: u64,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let registry = &self.registry;
        let news = wait::block(py, Patience::from_object(timeout)?, |until| {
            let version = registry.news.wait_past(seen, until);
            (version != seen).then_some(version)
        })?;
        Ok(news.unwrap_or(seen))
    }

    /// Wake those who are in `_await_news`.
    fn _wake(&self) {
        self.registry.news.tell();
    }
}
