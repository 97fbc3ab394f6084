//! Jobs one after the other, each with the result of the one before.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::entrance::Blueprint;
use super::job::Job;
use super::manager::JobManager;
use super::misuse::must_be_callable;
use super::options::Options;
use crate::core::state::State;

/// Run after `before`, with its result as the first argument.
pub(crate) fn come_after(options: &mut Options, before: &Bound<'_, Job>) {
    let more = options.more();
    more.after = vec![before.clone().unbind()];
    more.feeds = Some(before.clone().unbind());
}

impl JobManager {
    /// `chain`, under options.
    pub(crate) fn chained<'py>(
        &self,
        py: Python<'py>,
        steps: &Bound<'py, PyTuple>,
        options: &Options,
    ) -> PyResult<Bound<'py, Job>> {
        if steps.is_empty() {
            return Err(PyTypeError::new_err("a chain needs one callable at least"));
        }
        // All are looked at before the first runs.
        for step in steps {
            must_be_callable(&step, "chain")?;
        }
        let mut last: Option<Bound<'py, Job>> = None;
        for step in steps {
            let mut options = options.clone_ref(py);
            if let Some(last) = &last {
                come_after(&mut options, last);
            }
            let blueprint = Blueprint::of_call(&step, &PyTuple::empty(py), None);
            let made = self.add(py, blueprint, &options);
            if let (Err(_), Some(last)) = (&made, &last) {
                self.give_up_chain(last);
            }
            last = Some(made?);
        }
        last.ok_or_else(|| PyTypeError::new_err("a chain needs one callable at least"))
    }

    /// The next step was not accepted (a full queue): those before it that have not begun are taken back, the last first.
    fn give_up_chain(&self, last: &Bound<'_, Job>) {
        let mut next = Some(last.clone());
        while let Some(job) = next {
            let before = job
                .get()
                .with_extras(|extras| extras.feeds.as_ref().map(|job| job.clone_ref(last.py())));
            next = before.map(|before| before.into_bound(last.py()));
            if Job::end_queued(&job, State::Cancelled) {
                self.owner().take_back(&job);
            }
        }
    }
}
