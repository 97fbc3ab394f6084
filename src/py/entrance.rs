//! From the call of `new` to what runs the job: accepted, registered, held back or not, launched.

use pyo3::prelude::*;

use super::house::House;
use super::job::Job;
use super::manager::{Blueprint, JobManager};
use super::options::Options;
use super::recruit::{Recruited, recruit};
use super::work::Work;
use super::{errors, exit};
use crate::core::pool::{Admission, Closed};
use crate::core::state::State;
use crate::interrupt::{collector, context};
use std::sync::Arc;

impl JobManager {
    /// Make the job, register it, and launch it. What it returns was accepted; an error leaves nothing behind.
    pub(crate) fn add<'py>(
        &self,
        py: Python<'py>,
        blueprint: Blueprint<'py>,
        options: &Options,
    ) -> PyResult<Bound<'py, Job>> {
        self.house.check()?;
        if exit::is_ending() {
            return Err(errors::at_the_end());
        }
        if self.house.entrance.is_closed() {
            return Err(errors::closed());
        }
        let work = Work {
            callable: blueprint.callable.unbind(),
            args: blueprint.args.unbind(),
            kwargs: blueprint.kwargs.map(Bound::unbind),
            context: context::copy_current(py)?.unbind(),
            namespaces: blueprint.namespaces,
        };
        let number = self.registry.reserve();
        let job = Job::new(
            number,
            &self.house,
            blueprint.label,
            blueprint.source,
            work,
            options,
        );
        let job = Bound::new(py, job)?;
        collector::untrack(&job);
        if !options.daemon {
            exit::keep_for(&job);
        }
        self.registry.insert(number, job.clone().unbind());
        match launch(&job) {
            Ok(None) => Ok(job),
            Ok(Some(interrupt)) => Err(interrupt),
            Err(error) => {
                self.take_back(&job);
                Err(error)
            }
        }
    }

    /// A job that was not accepted leaves nothing behind but its number.
    fn take_back(&self, job: &Bound<'_, Job>) {
        let kept = self.registry.remove(job.get().record.number());
        drop(kept);
        Job::end_queued(job, State::Cancelled);
    }
}

/// Hand a job that nothing holds back to what runs it. An error says that nothing will run it; an exception that comes with
/// success (Ctrl-C) came out of the starting of a worker, and is to be passed on.
pub(crate) fn launch(job: &Bound<'_, Job>) -> PyResult<Option<PyErr>> {
    let launched = to_the_pool(job)?;
    job.get().come_back();
    Ok(launched)
}

/// Queue it for a worker, and start one if one is missing.
fn to_the_pool(job: &Bound<'_, Job>) -> PyResult<Option<PyErr>> {
    let house = &job.get().house;
    match house.pool.push(job.clone().unbind()) {
        Ok(Admission::Queued) => Ok(None),
        Ok(Admission::NeedsWorker) => recruit_for(job, house),
        Err(Closed(back)) => {
            drop(back);
            Err(errors::closed())
        }
    }
}

pub(crate) fn recruit_for(job: &Bound<'_, Job>, house: &Arc<House>) -> PyResult<Option<PyErr>> {
    match recruit(job.py(), house) {
        Recruited::Yes(result) => Ok(result.err()),
        Recruited::No(error) => {
            let queued = house.pool.withdraw(|queued| queued.is(job));
            drop(queued);
            Err(error)
        }
    }
}
