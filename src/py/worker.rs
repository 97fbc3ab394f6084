//! The worker's loop: attached once, detached only around waiting, and what happens to one job in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

use super::alarm::{Alarm, Deadline};
use super::cpu_clock::CpuClock;
use super::current::{self, Post};
use super::errors::JobError;
use super::fault::{self, Place, may_happen};
use super::house::House;
use super::job::Job;
use super::outcome::Outcome;
use super::runner::Runner;
use super::work::Work;
use super::{ending, exit, figures, recruit, streams};
use crate::core::clock::{self, Tick};
use crate::core::pool::Wake;
use crate::core::state::State;
use crate::core::sync::Mutex;
use crate::interrupt::ballast::Overboard;
use crate::interrupt::slot::Slot;
use crate::interrupt::steps::Struck;
use crate::interrupt::{beat, call, context, thread};

/// How long a worker runs short jobs in a row before it offers the interpreter to others, nanoseconds. By time and not by
/// count: jobs that are C functions never offer it themselves.
const TURN: u64 = 1_000_000;

/// What a worker thread runs: held by `rjobs._threads.WorkerThread`.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct Worker {
    pub(super) house: Arc<House>,
    serial: u64,
    /// Set once: by the worker when it begins, or by who started it and gave up. So both agree whether it counts.
    decided: AtomicBool,
    /// What it runs now, for the thread's name.
    job: Arc<Mutex<Option<Py<Job>>>>,
}

impl Worker {
    pub(crate) fn new(house: &Arc<House>) -> Self {
        Self {
            house: Arc::clone(house),
            serial: house.next_worker(),
            decided: AtomicBool::new(false),
            job: Arc::new(Mutex::new(None)),
        }
    }

    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// It could not be started: should its thread come up after all, it ends at once. False when it is running already.
    pub(crate) fn give_up(&self) -> bool {
        !self.decided.swap(true, Ordering::AcqRel)
    }
}

#[pymethods]
impl Worker {
    /// The job that the thread runs now, or None.
    #[getter]
    fn job(&self, py: Python<'_>) -> Option<Py<Job>> {
        self.job.lock().as_ref().map(|job| job.clone_ref(py))
    }

    /// Run jobs until the pool lets this worker go. To be called once, on a thread of its own.
    fn run(&self, py: Python<'_>) {
        if self.decided.swap(true, Ordering::AcqRel) {
            return;
        }
        if exit::has_closed() {
            self.stay_out(py);
        }
        let mut arriving = true;
        // The C library ends the process where a thread finds no memory for what belongs to it: that is made now.
        let overboard = Overboard::throw();
        let settled = fault::contained(py, || {
            may_happen(Place::Worker);
            self.settle(py)
        });
        drop(overboard);
        let Some(slot) = settled else {
            recruit::never_came(py, &self.house);
            return;
        };
        let mut shift = Shift {
            slot: &slot,
            job: &self.job,
            streams_seen: 0,
            cpu: CpuClock::of_this_thread(),
            ran: 0,
            was_struck: false,
        };
        let mut turn_began = clock::now();
        // What panics here works for no job, or for one that has ended: the worker goes on.
        let mut turn = || self.turn(py, &mut shift, &mut arriving, &mut turn_began);
        while fault::contained(py, &mut turn).unwrap_or(true) {}
        if self.house.is_here() {
            self.house.moved_out(&slot);
            current::take_post(None);
        }
        slot.retire();
        slot.set_busy(false);
    }
}

impl Worker {
    /// The thread becomes this worker's.
    fn settle(&self, py: Python<'_>) -> Arc<Slot> {
        // The standard library's, and with it all that is there for each thread.
        drop(std::thread::current());
        // It is counted by the pool since before it was started.
        self.house.roll.expect();
        self.house.roll.is_here(thread::native_id());
        thread::set_name(&format!("rjobs-{}", self.serial));
        let slot = Arc::new(Slot::of_this_thread(py));
        self.house.moved_in(&slot, &self.job);
        let post = Post {
            job: Arc::clone(&self.job),
            slot: Some(Arc::clone(&slot)),
            aide: None,
        };
        current::take_post(Some(post));
        beat::set_here(Some(&slot));
        slot
    }

    /// Run a job, or wait for one. False when the worker is to leave.
    fn turn(
        &self,
        py: Python<'_>,
        shift: &mut Shift<'_>,
        arriving: &mut bool,
        turn_began: &mut Tick,
    ) -> bool {
        let slot = shift.slot;
        if exit::has_closed() {
            slot.set_busy(false);
            self.stay_out(py);
        }
        if exit::is_ending() {
            // It ends as a thread does, and is waited for: what it would keep if it stayed (a trace function, a hook, all that
            // hangs together with these) is to be finalized with the program.
            self.house.pool.stay_away();
            return false;
        }
        if let Some(job) = self.house.pool.pop_or_rest(std::mem::take(arriving)) {
            let job = job.into_bound(py);
            let ended = shift.run(&job);
            call::release(job);
            let Some(ended) = ended else {
                // The child of a fork: the pool and its count of workers are the parent's.
                return false;
            };
            if shift.was_struck && self.goes(py) {
                slot.set_busy(false);
                return false;
            }
            shift.was_struck = false;
            shift.tidy(py);
            if ended.saturating_sub(*turn_began) > TURN {
                // And the processor, where all are taken: who waits is awake, and would come too late else.
                py.detach(std::thread::yield_now);
                *turn_began = clock::now();
            }
            return true;
        }
        slot.set_busy(false);
        let wake = py.detach(|| self.house.pool.park());
        slot.set_busy(true);
        *turn_began = clock::now();
        match wake {
            Wake::Work => {
                (*arriving, shift.streams_seen) = (true, 0);
                true
            }
            Wake::Leave => false,
        }
    }
}

/// One worker's time on its thread.
pub(crate) struct Shift<'a> {
    pub(crate) slot: &'a Arc<Slot>,
    /// What `current_job()` gives on this thread.
    pub(crate) job: &'a Mutex<Option<Py<Job>>>,
    /// When the standard streams were last looked at.
    streams_seen: Tick,
    pub(crate) cpu: CpuClock,
    /// How long the last job ran, nanoseconds.
    pub(super) ran: Tick,
    /// A strike was sent at one of its jobs.
    pub(crate) was_struck: bool,
}

/// How a call ended.
struct Ended {
    result: Result<Py<PyAny>, Py<PyBaseException>>,
    struck: Struck,
    at: Tick,
}

impl Shift<'_> {
    /// Run one job to its end; the time of it, or None when this is the child of a fork that the job made: then nothing
    /// here belongs to it, and the thread must end.
    fn run(&mut self, job: &Bound<'_, Job>) -> Option<Tick> {
        let py = job.py();
        // A panic of ours is that job's failure, and not the worker's or the kernel's.
        let (slot, this) = (self.slot, self.job);
        fault::or_fails(
            job,
            || self.call(job),
            |error| {
                // Not struck from here on, whatever else goes wrong.
                fault::contained(py, || slot.close(py));
                fault::contained(py, || drop(this.lock().take()));
                fault::contained(py, || Job::end_by_fault(job, error));
                job.get().house.is_here().then(clock::now)
            },
        )
    }

    fn call(&mut self, bound: &Bound<'_, Job>) -> Option<Tick> {
        let (py, job) = (bound.py(), bound.get());
        self.ran = 0;
        if let Some(group) = job.group.get() {
            let (began, ended) = (clock::now(), self.serve(bound, group)?);
            self.ran = ended.saturating_sub(began);
            return Some(ended);
        }
        let work = {
            let mut held = job.held.lock();
            let work = held.work.as_ref().map(|work| work.clone_ref(py));
            if work.is_some() {
                held.runner = Some(Runner::Worker(Arc::clone(self.slot)));
            }
            work
        };
        let Some(work) = work else {
            // Nothing to run: it is being freed.
            return Some(clock::now());
        };
        may_happen(Place::Begin);
        // May run Python code (where a stream was replaced), so it comes before the job can be struck.
        if job.is_over() {
            // Cancelled or killed while it was queued.
            work.release(py);
            return Some(clock::now());
        }
        if exit::is_ending() {
            Job::end_queued(bound, State::Cancelled);
            return Some(clock::now());
        }
        let started = clock::now();
        self.see_streams(py, started);
        let Some(ended) = self.inside_context(bound, &work, started) else {
            work.release(py);
            return Some(clock::now());
        };
        if !job.house.is_here() {
            // The job forked, and this is the child, where the job's call has returned as well. Its record is the
            // parent's; dropping the work would run finalizers twice.
            std::mem::forget(work);
            return None;
        }
        self.note_cpu(job, ended.at);
        self.ran = ended.at.saturating_sub(started);
        self.was_struck |= ended.struck.at_all;
        let (state, outcome) = match ended.result {
            Ok(value) => (State::Done, Outcome::Value(value)),
            Err(exception) => ending::judge(bound, exception.bind(py), &ended.struck),
        };
        work.release(py);
        Job::end_running(bound, state, outcome, ended.at);
        Some(ended.at)
    }

    /// The call itself, in the submitter's context, open to strikes from just before to just after. None when the job was
    /// ended while it was queued.
    fn inside_context(
        &mut self,
        bound: &Bound<'_, Job>,
        work: &Work,
        started: Tick,
    ) -> Option<Ended> {
        let (py, job) = (bound.py(), bound.get());
        let aim = job.record.aim();
        let context = work.context.bind(py);
        let inside = match context::enter(context) {
            Ok(inside) => inside,
            Err(error) => {
                // Only a context that somebody else is inside of; ours is a copy that nobody has.
                let begun = job.begin(started);
                let result = Err(error.into_value(py));
                return begun.then(|| Ended {
                    result,
                    struck: Struck::default(),
                    at: clock::now(),
                });
            }
        };
        *self.job.lock() = Some(bound.clone().unbind());
        // While it runs, the record holds the reading at its start.
        job.record.set_cpu(self.cpu.at(started));
        self.slot.open(aim);
        if !job.begin(started) {
            self.slot.close(py);
            self.leave_job();
            return None;
        }
        job.house.watch.begin(&job.house);
        let deadline = job.timeout.and_then(|timeout| {
            let deadline = Alarm::Deadline(Deadline {
                house: Arc::clone(&job.house),
                slot: Arc::clone(self.slot),
                job: aim,
            });
            // More than the clock can count is no limit.
            Some(
                job.house
                    .timers
                    .add(Instant::now().checked_add(timeout)?, deadline),
            )
        });
        let mut running = None;
        let result = if let Some(Err(error)) = &deadline {
            let message = format!(
                "{} got no thread to watch its timeout: {error}",
                job.title(py)
            );
            Err(JobError::new_err(message).into_value(py).into_bound(py))
        } else {
            let (callable, args) = (work.callable.bind(py), work.args.bind(py));
            let result = call::call(callable, args, work.kwargs.as_ref().map(|kw| kw.bind(py)));
            let result = result.and_then(|value| match self.slot.cut_short(py) {
                Some(kill) => Err(kill),
                None => Ok(value),
            });
            let result =
                result.and_then(|result| ending::finish(bound, callable, result, &mut running));
            let result = figures::run_ends(bound, result);
            if let Err(exception) = &result {
                job.settle_early(exception);
            }
            result
        };
        // The very next thing, before anything else can run Python code.
        let struck = self.slot.close(py);
        let at = clock::now();
        self.leave_job();
        if let Some(Ok(key)) = deadline
            && job.house.is_here()
        {
            job.house.timers.remove(key);
        }
        if let (Err(_), Some(running)) = (&result, running) {
            ending::close(&running);
        }
        drop(inside);
        Some(Ended {
            result: result.map(Bound::unbind).map_err(Bound::unbind),
            struck,
            at,
        })
    }

    /// Have the standard streams hooked, unless that was looked at a moment ago. May run Python code.
    pub(crate) fn see_streams(&mut self, py: Python<'_>, now: Tick) {
        if now.saturating_sub(self.streams_seen) > TURN {
            streams::ensure_hooked(py);
            self.streams_seen = now;
        }
    }

    /// The thread works for no job from here on. Not the last reference: the loop holds one.
    pub(crate) fn leave_job(&self) {
        let job = self.job.lock().take();
        drop(job);
    }

    fn note_cpu(&mut self, job: &Job, ended: Tick) {
        let at_start = job.record.cpu();
        job.record
            .set_cpu(self.cpu.at(ended).saturating_sub(at_start));
    }
}
