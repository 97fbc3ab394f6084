//! A worker's time with a group: it takes batches and runs them, until there are none or others wait for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::super::alarm::{Alarm, Deadline};
use super::super::errors::{JobError, JobKilled, JobTimeout};
use super::super::fault::{Place, may_happen};
use super::super::job::Job;
use super::super::worker::Shift;
use super::super::{exit, figures, shim};
use super::flight::Flight;
use super::results::{Failure, Raised};
use super::source::{Batch, Claim};
use super::{Group, Way};
use crate::core::clock::{self, Tick};
use crate::core::state::State;
use crate::interrupt::names::name;
use crate::interrupt::{call, context, thread};

/// Where a worker puts its results: a list, and the number of the item that it begins with. Batches that follow one another
/// share it.
type Hand<'py> = Option<(usize, Bound<'py, PyList>)>;

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Went {
    On,
    /// There is nothing more for this worker.
    Home,
    /// This is the child of a fork.
    Astray,
}

impl Shift<'_> {
    /// Work for a group; the time, or None in the child of a fork that an item made.
    pub(in crate::py) fn serve(
        &mut self,
        bound: &Bound<'_, Job>,
        group: &Arc<Group>,
    ) -> Option<Tick> {
        let (py, job) = (bound.py(), bound.get());
        if exit::is_ending() {
            Job::end_queued(bound, State::Cancelled);
            return Some(clock::now());
        }
        let started = clock::now();
        // May run Python code (where a stream was replaced), so it comes before the job can be struck.
        self.see_streams(py, started);
        let Some(function) = group.arrive(job, py, self.slot) else {
            group.settle(bound);
            return Some(clock::now());
        };
        let context = {
            let held = job.held.lock();
            held.work.as_ref().map(|work| work.context.clone_ref(py))
        };
        // A copy for each worker: only one thread can be inside of a context.
        let context = context.and_then(|context| {
            let copy = context.bind(py).call_method0(name!(py, "copy")).ok()?;
            Some(copy)
        });
        let mut went = Went::Home;
        if let Some(context) = &context
            && let Ok(inside) = context::enter(context)
            && (job.record.begin(started) || job.record.state() == State::Running)
        {
            *self.job.lock() = Some(bound.clone().unbind());
            let mut hand = None;
            loop {
                went = self.step(bound, group, &function, &mut hand);
                if went != Went::On {
                    break;
                }
                if job.house.pool.queued() > group.coming() && group.step_back(bound) {
                    break;
                }
            }
            self.leave_job();
            drop(inside);
            if let Some((_, list)) = hand {
                call::release(list.into_any());
            }
        }
        if went == Went::Astray {
            return None;
        }
        let at = clock::now();
        group.leave(bound, self.slot, went == Went::On);
        call::release(function);
        group.settle(bound);
        Some(at)
    }

    fn step<'py>(
        &mut self,
        bound: &Bound<'py, Job>,
        group: &Arc<Group>,
        function: &Bound<'py, PyAny>,
        hand: &mut Hand<'py>,
    ) -> Went {
        let (py, job) = (bound.py(), bound.get());
        if exit::is_ending() || group.is_closed(job) {
            return Went::Home;
        }
        let is_single = job.timeout.is_some() || job.has_figures();
        let most = if is_single { 1 } else { usize::MAX };
        let claim = match group.claim(py, most) {
            Ok(claim) => claim,
            Err(error) => {
                group.fail(Raised::new(&error.into_value(py).into_bound(py)));
                return Went::Home;
            }
        };
        match claim {
            Claim::Run(batch) if batch.count == 0 => Went::On,
            Claim::Run(batch) => self.fly(bound, group, function, batch, hand),
            Claim::Pull(iterator, most) => self.pull(bound, group, iterator, most),
            Claim::Rob(robbed) => match group.rob(&robbed) {
                Ok(()) => Went::On,
                Err(error) => {
                    error.write_unraisable(py, None);
                    Went::Home
                }
            },
            Claim::Nothing => Went::Home,
        }
    }

    /// Get items out of the iterator.
    fn pull(
        &mut self,
        bound: &Bound<'_, Job>,
        group: &Arc<Group>,
        iterator: Bound<'_, PyAny>,
        most: usize,
    ) -> Went {
        let (py, job) = (bound.py(), bound.get());
        let items = PyList::empty(py);
        let prepared = (&iterator, most, &items)
            .into_pyobject(py)
            .and_then(|args| Ok((shim::MAP_PULL.get(py)?, args)));
        let (pull, args) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                group.fail(Raised::new(&error.into_value(py).into_bound(py)));
                group.has_pulled(&items, true);
                return Went::On;
            }
        };
        self.slot.open(job.record.aim());
        if group.is_killed() {
            self.slot.close(py);
            group.has_pulled(&items, false);
            return Went::Home;
        }
        let result = call::call(pull, &args, None);
        // The very next thing, before anything else can run Python code.
        let struck = self.slot.close(py);
        self.was_struck |= struck.at_all;
        if !job.house.is_here() {
            std::mem::forget((items, args, iterator));
            return Went::Astray;
        }
        let is_dry = match result {
            Ok(is_dry) => is_dry.is_truthy().unwrap_or(true),
            Err(exception) => {
                let (state, exception) = job.verdict(&exception, &struck);
                trim(&exception);
                if state == State::Failed {
                    group.fail(Raised::new(&exception));
                } else {
                    explain_kill(bound, &exception);
                    group.was_killed_by(Raised::new(&exception));
                }
                state == State::Failed
            }
        };
        group.has_pulled(&items, is_dry);
        call::release(args);
        call::release(iterator);
        call::release(items);
        Went::On
    }

    /// Run a batch.
    fn fly<'py>(
        &mut self,
        bound: &Bound<'py, Job>,
        group: &Arc<Group>,
        function: &Bound<'py, PyAny>,
        batch: Batch<'py>,
        hand: &mut Hand<'py>,
    ) -> Went {
        let (py, job) = (bound.py(), bound.get());
        let kept = hand
            .take()
            .filter(|(first, list)| first + list.len() == batch.start && !group.forgets);
        let (first, list) = kept.unwrap_or_else(|| (batch.start, PyList::empty(py)));
        may_happen(Place::Batch);
        let began = clock::now();
        let number = group.take_off(Flight {
            number: 0,
            start: batch.start,
            count: batch.count,
            iterator: batch.items.iterator.clone().unbind(),
            list: list.clone().unbind(),
            first,
            began,
            is_bare: false,
        });
        group.watch_over(&job.house);
        if group.wants_another() {
            group.summon(bound);
        }
        let before = thread::cpu_time();
        let prepared = (function, &batch.items.iterator, &list)
            .into_pyobject(py)
            .and_then(|args| Ok((group.the_loop().get(py)?, args)));
        let mut went = Went::On;
        match prepared {
            Ok((run, args)) => {
                let work = Loop {
                    run,
                    args,
                    batch: &batch,
                    first,
                    list: &list,
                    number,
                };
                while went == Went::On && self.run_on(bound, group, &work, &mut went) {}
                if went == Went::Astray {
                    std::mem::forget((work.args, batch, list));
                    return went;
                }
                call::release(work.args);
            }
            Err(error) => {
                group.fail(Raised::new(&error.into_value(py).into_bound(py)));
                went = Went::Home;
            }
        }
        let cpu = Duration::from_nanos(thread::cpu_time().saturating_sub(before));
        let wall = Duration::from_nanos(clock::now().saturating_sub(began));
        group.land(py, number, wall, cpu);
        call::release(batch.items.iterator);
        call::release(batch.items.slice);
        *hand = Some((first, list));
        went
    }

    /// Run a batch on until it is done or an item fails; true when there may be more of it.
    fn run_on(
        &mut self,
        bound: &Bound<'_, Job>,
        group: &Arc<Group>,
        work: &Loop<'_, '_>,
        went: &mut Went,
    ) -> bool {
        let (py, job) = (bound.py(), bound.get());
        let aim = group.next_aim(job);
        self.slot.open(aim);
        if group.is_killed() {
            self.slot.close(py);
            *went = Went::Home;
            return false;
        }
        job.house.watch.begin(&job.house);
        let deadline = job.timeout.and_then(|timeout| {
            let deadline = Alarm::Deadline(Deadline {
                house: Arc::clone(&job.house),
                slot: Arc::clone(self.slot),
                job: aim,
            });
            let when = Instant::now().checked_add(timeout)?; // more than the clock counts: no limit
            Some(job.house.timers.add(when, deadline))
        });
        let result = if let Some(Err(error)) = &deadline {
            let message = format!(
                "{} got no thread to watch the timeout of its items: {error}",
                job.title(py)
            );
            Err(JobError::new_err(message).into_value(py).into_bound(py))
        } else {
            let result = call::call(work.run, &work.args, None);
            figures::run_ends(bound, result)
        };
        // The very next thing, before anything else can run Python code.
        let struck = self.slot.close(py);
        self.was_struck |= struck.at_all;
        if !job.house.is_here() {
            *went = Went::Astray;
            return false;
        }
        if let Some(Ok(key)) = deadline {
            job.house.timers.remove(key);
        }
        let Err(exception) = result else {
            return false;
        };
        let (state, exception) = job.verdict(&exception, &struck);
        let at = work.first + work.list.len();
        if state == State::Killed {
            explain_kill(bound, &exception);
            trim(&exception);
            group.was_killed_by(Raised::new(&exception));
            *went = Went::Home;
            return false;
        }
        if at >= group.end_of(work.number) {
            // What was sent came when the last item had its result.
            return false;
        }
        if state == State::TimedOut {
            explain_timeout(bound, &exception, at);
        }
        trim(&exception);
        job.settle_frames(state, &exception);
        let item = work.batch.items.slice.get_item(at - work.batch.start);
        let failure = Failure {
            raised: Raised::new(&exception),
            item: item.map_or_else(|_| py.None(), Bound::unbind),
        };
        group.has_failed(py, at, failure);
        // In the place of a result, so that the numbers of those behind it stay right. Cannot fail but for want of memory.
        if let Err(error) = work.list.append(&exception) {
            group.fail(Raised::new(&error.into_value(py).into_bound(py)));
            *went = Went::Home;
            return false;
        }
        true
    }
}

/// What a batch is run with.
struct Loop<'a, 'py> {
    run: &'a Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    batch: &'a Batch<'py>,
    first: usize,
    list: &'a Bound<'py, PyList>,
    number: u64,
}

impl Group {
    fn the_loop(&self) -> &'static shim::Door {
        match (self.way, self.is_async) {
            (Way::One, false) => &shim::MAP_RUN,
            (Way::Star, false) => &shim::MAP_RUN_STAR,
            (Way::One, true) => &shim::MAP_RUN_ASYNC,
            (Way::Star, true) => &shim::MAP_RUN_ASYNC_STAR,
        }
    }
}

fn trim(exception: &Bound<'_, PyBaseException>) {
    let py = exception.py();
    if let Err(error) = shim::MAP_TRIM.call(py, (exception,)) {
        error.write_unraisable(py, None);
    }
}

/// An exception that was sent comes without arguments: say what happened.
fn explain(exception: &Bound<'_, PyBaseException>, message: impl FnOnce() -> String) {
    let py = exception.py();
    let args = name!(py, "args");
    let is_bare = exception
        .getattr(args)
        .and_then(|args| args.is_empty())
        .unwrap_or(false);
    if is_bare {
        // Cannot fail: every BaseException takes a tuple here.
        let _ = exception.setattr(args, (message(),));
    }
}

fn explain_kill(job: &Bound<'_, Job>, exception: &Bound<'_, PyBaseException>) {
    if exception.as_any().is_instance_of::<JobKilled>() {
        explain(exception, || {
            format!("{} was killed", job.get().title(job.py()))
        });
    }
    job.get().settle_frames(State::Killed, exception);
}

fn explain_timeout(job: &Bound<'_, Job>, exception: &Bound<'_, PyBaseException>, item: usize) {
    if exception.as_any().is_instance_of::<JobTimeout>() {
        let seconds = job.get().timeout.unwrap_or_default().as_secs_f64();
        explain(exception, || {
            format!(
                "item {item} of {} ran longer than its timeout of {seconds} s",
                job.get().title(job.py())
            )
        });
    }
}
