//! From the call of `new` to what runs the job: accepted, registered, held back or not, launched.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::current;
use super::event_loop::to_the_loop::{self, has_own_loop, is_coroutine_function};
use super::house::House;
use super::job::{Job, Source};
use super::manager::JobManager;
use super::options::{More, Options};
use super::outcome::Outcome;
use super::recruit::{Recruited, recruit};
use super::shim::{self, Opened};
use super::wait::{self, Patience};
use super::work::{Kind, Label, Work};
use super::{errand, errors, exit, fault, gates, group, held};
use crate::core::backlog::Backlog;
use crate::core::clock;
use crate::core::pool::{Admission, Closed};
use crate::core::registry::Registry;
use crate::core::state::State;
use crate::interrupt::process::Order;
use crate::interrupt::{collector, context, reserve};

/// What `new` was given, in the shape of a job.
pub(crate) struct Blueprint<'py> {
    pub(crate) label: Label,
    pub(crate) source: Option<Box<Source>>,
    pub(crate) callable: Bound<'py, PyAny>,
    pub(crate) args: Bound<'py, PyTuple>,
    pub(crate) kwargs: Option<Bound<'py, PyDict>>,
    pub(crate) namespaces: Option<Box<(Py<PyAny>, Py<PyAny>)>>,
    /// For an external command.
    pub(crate) order: Option<Arc<Order>>,
}

/// For so many jobs at a time memory is asked for.
const ROOM: u64 = 1024;

/// Whose the new job is.
pub(crate) struct Owner<'a> {
    pub(crate) house: &'a Arc<House>,
    pub(crate) registry: &'a Registry<Py<Job>>,
}

impl JobManager {
    pub(crate) fn owner(&self) -> Owner<'_> {
        Owner {
            house: &self.house,
            registry: &self.registry,
        }
    }

    /// Make the job, register it, and launch it or hold it back. What it returns was accepted; an error leaves nothing
    /// behind.
    pub(crate) fn add<'py>(
        &self,
        py: Python<'py>,
        blueprint: Blueprint<'py>,
        options: &Options,
    ) -> PyResult<Bound<'py, Job>> {
        self.owner().add(py, blueprint, options)
    }
}

impl Owner<'_> {
    /// See `JobManager::add`.
    pub(crate) fn add<'py>(
        &self,
        py: Python<'py>,
        mut blueprint: Blueprint<'py>,
        options: &Options,
    ) -> PyResult<Bound<'py, Job>> {
        let house = self.house;
        self.check()?;
        let more = options.more.as_deref();
        if blueprint.order.is_some()
            && more.is_some_and(|more| more.cache.is_some() || more.lock.is_some())
        {
            return Err(PyTypeError::new_err(
                "cache= and lock= go with functions, and not with commands",
            ));
        }
        let cache = more.and_then(|more| more.cache.as_ref());
        let call = cache.map(|cache| (cache, blueprint.callable.clone()));
        if let Some(lock) = more.and_then(|more| more.lock.as_ref()) {
            blueprint.callable = shim::UNDER_LOCK.call(py, (lock, &blueprint.callable))?;
        }
        if let Some(backlog) = &house.backlog {
            make_room(py, house, backlog, &blueprint)?;
        }
        let job = fault::or_no_memory(|| self.make(py, blueprint, options))
            .inspect_err(|_| house.backlog.iter().for_each(Backlog::leave))?;
        if let Some((cache, callable)) = call
            && let Some(other) = self.look_up(&job, cache, &callable)?
        {
            return Ok(other);
        }
        match fault::or_no_memory(|| Self::send_off(&job, more)) {
            Ok(None) => Ok(job),
            Ok(Some(interrupt)) => Err(interrupt),
            Err(error) => {
                self.take_back(&job);
                Err(error)
            }
        }
    }

    fn make<'py>(
        &self,
        py: Python<'py>,
        blueprint: Blueprint<'py>,
        options: &Options,
    ) -> PyResult<Bound<'py, Job>> {
        let kind = if blueprint.order.is_some() {
            Kind::Command
        } else if blueprint.source.is_none() && is_coroutine_function(&blueprint.callable) {
            // Now, since the job may be launched anywhere, and the loop's thread should import nothing.
            shim::open(py, Opened::Coroutine)?;
            Kind::Coroutine
        } else {
            let code = blueprint.source.as_ref().and_then(|source| {
                let code = source.code.as_ref()?;
                Some(code.bind(py).clone())
            });
            if has_own_loop(&blueprint.callable, code.as_ref()) {
                // Now, so that no worker has to import.
                shim::open(py, Opened::OwnLoop)?;
            }
            Kind::Call
        };
        let work = Work {
            callable: blueprint.callable.unbind(),
            args: blueprint.args.unbind(),
            kwargs: blueprint.kwargs.map(Bound::unbind),
            context: context::copy_current(py)?.unbind(),
            namespaces: blueprint.namespaces,
            order: blueprint.order,
        };
        let number = self.registry.reserve();
        if number > 0 && number.is_multiple_of(ROOM) {
            // Now and then for so many, since a list that cannot grow later ends the process.
            let room = usize::try_from(2 * ROOM).unwrap_or(usize::MAX);
            (self.registry.make_room(room))
                .and_then(|()| self.house.pool.make_room(room))
                .map_err(|_| errors::no_memory())?;
        }
        let job = Job::new(
            number,
            self.house,
            blueprint.label,
            blueprint.source,
            kind,
            work,
            options,
        );
        job.counted
            .store(self.house.backlog.is_some(), Ordering::Release);
        let job = Bound::new(py, job)?;
        self.enrol(&job, options);
        Ok(job)
    }

    /// Nothing new is taken in by a closed manager, in the child of a fork, and at the end of the interpreter.
    pub(crate) fn check(&self) -> PyResult<()> {
        self.house.check()?;
        if exit::is_ending() {
            return Err(errors::at_the_end());
        }
        if reserve::is_low() {
            return Err(errors::no_memory());
        }
        if self.house.entrance.is_closed() {
            return Err(errors::closed());
        }
        Ok(())
    }

    /// What is done with every job that was made: from here on it can be found.
    pub(crate) fn enrol(&self, job: &Bound<'_, Job>, options: &Options) {
        let py = job.py();
        collector::untrack(job);
        if let Some(more) = &options.more
            && (more.policy.is_some() || more.feeds.is_some())
        {
            job.get().with_extras(|extras| {
                extras.policy = more.policy.as_ref().map(|policy| policy.clone_ref(py));
                extras.feeds = more.feeds.as_ref().map(|job| job.clone_ref(py));
            });
        }
        job.get().is_counted();
        self.registry
            .insert(job.get().record.number(), job.clone().unbind());
    }

    /// `cache=`: another job in the place of this one, where there is one at work on the same call; or this one, done, where
    /// the answer is known.
    fn look_up<'py>(
        &self,
        job: &Bound<'py, Job>,
        cache: &Py<PyAny>,
        callable: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, Job>>> {
        let py = job.py();
        // Not to be hit half way: the job is there, and waits to be sent off.
        let found = held::undisturbed(py, || shim::CLAIM.call(py, (job, cache, callable)))
            .inspect_err(|_| self.take_back(job))?;
        if let Ok(twin) = found.cast::<Job>() {
            self.take_back(job);
            return Ok(Some(twin.clone()));
        }
        let Ok(known) = found.cast::<PyTuple>() else {
            return Ok(None);
        };
        let value = known.get_item(0)?.unbind();
        let now = clock::now();
        if job.get().begin(now) {
            Job::end_running(job, State::Done, Outcome::Value(value), now);
        }
        Ok(Some(job.clone()))
    }

    /// Launch a job, or hold it back where it has to wait.
    pub(crate) fn send_off(job: &Bound<'_, Job>, more: Option<&More>) -> PyResult<Option<PyErr>> {
        match (&job.get().plan, more) {
            (Some(plan), Some(more)) => {
                let after = more
                    .after
                    .iter()
                    .map(|before| before.clone_ref(job.py()))
                    .collect();
                gates::admit(job, plan, after).map(|()| None)
            }
            _ => launch(job),
        }
    }

    /// A job that was not accepted leaves nothing behind but its number.
    pub(crate) fn take_back(&self, job: &Bound<'_, Job>) {
        let kept = self.registry.remove(job.get().record.number());
        drop(kept);
        Job::end_queued(job, State::Cancelled);
    }
}

/// `max_queued=`: take a place, wait for one, or refuse.
fn make_room(
    py: Python<'_>,
    house: &Arc<House>,
    backlog: &Backlog,
    work: &Blueprint<'_>,
) -> PyResult<()> {
    if backlog.try_enter() {
        return Ok(());
    }
    if !house.blocks_when_full {
        let message = format!(
            "{} jobs wait already, as many as max_queued lets: try again later, or make the manager with on_full='block'",
            backlog.most()
        );
        let what = match &work.source {
            Some(source) => source.expression.bind(py).as_any(),
            None => &work.callable,
        };
        return Err(errors::QueueFull::new_err((
            message,
            what.clone().unbind(),
            work.args.clone().unbind(),
            work.kwargs.clone().map(Bound::unbind),
        )));
    }
    // One that the jobs themselves bring, or their callbacks, cannot wait for the jobs: it comes on top.
    if current::serves(house) {
        backlog.enter();
        return Ok(());
    }
    let has_place = wait::block(py, Patience::ENDLESS, |until| {
        if house.entrance.is_closed() {
            return Some(false);
        }
        backlog.enter_until(until).then_some(true)
    })?;
    if house.entrance.is_closed() {
        if has_place == Some(true) {
            backlog.leave();
        }
        return Err(errors::closed());
    }
    Ok(())
}

/// Hand a job that nothing holds back to what runs it. An error says that nothing will run it; an exception that comes with
/// success (Ctrl-C) came out of the starting of a worker, and is to be passed on.
pub(crate) fn launch(job: &Bound<'_, Job>) -> PyResult<Option<PyErr>> {
    match job.get().kind {
        Kind::Call => {
            let launched = to_the_pool(job)?;
            let plan = job.get().plan.as_ref();
            if plan.is_none_or(|plan| !plan.may_run_again) {
                job.get().come_back();
            }
            Ok(launched)
        }
        Kind::Coroutine => to_the_loop::launch(job),
        Kind::Command => errand::launch(job),
        Kind::Group => {
            group::make::ask(job.get());
            to_the_pool(job)
        }
    }
}

/// Queue it for a worker, and start one if one is missing.
fn to_the_pool(job: &Bound<'_, Job>) -> PyResult<Option<PyErr>> {
    let house = &job.get().house;
    match house.pool.push(job.clone().unbind(), job.get().rank()) {
        Ok(Admission::Queued) => Ok(None),
        Ok(Admission::NeedsWorker) => recruit_for(job, house),
        Err(Closed(back)) => {
            drop(back);
            Err(errors::closed())
        }
    }
}

fn recruit_for(job: &Bound<'_, Job>, house: &Arc<House>) -> PyResult<Option<PyErr>> {
    match recruit(job.py(), house) {
        Recruited::Yes(result) => Ok(result.err()),
        Recruited::No(error) => {
            let queued = house.pool.withdraw(|queued| queued.is(job));
            drop(queued);
            Err(error)
        }
    }
}

impl<'py> Blueprint<'py> {
    /// A call.
    pub(crate) fn of_call(
        callable: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> Self {
        Self {
            label: Label::of_callable(callable),
            source: None,
            callable: callable.clone(),
            args: args.clone(),
            kwargs: kwargs.filter(|kwargs| !kwargs.is_empty()),
            namespaces: None,
            order: None,
        }
    }

    /// Code, and what runs it.
    pub(crate) fn of_code(
        source: &Bound<'py, PyString>,
        runner: Bound<'py, PyAny>,
        code: Option<Py<PyAny>>,
        namespaces: Option<Box<(Py<PyAny>, Py<PyAny>)>>,
    ) -> Self {
        let py = source.py();
        Self {
            label: Label::of_code(source),
            source: Some(Box::new(Source {
                expression: source.clone().unbind(),
                code,
            })),
            callable: runner,
            args: PyTuple::empty(py),
            kwargs: None,
            namespaces,
            order: None,
        }
    }
}
