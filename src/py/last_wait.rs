//! The end of the program waits for its jobs: for those with `daemon=False`, and in a script for all that say nothing else.
//!
//! Nothing is done for that at each job but counting (`core/census.rs`). What must not keep a program for ever is seen to here: a
//! job that waits behind others that are ended anyway, values that nobody reads any more, periodic jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::exit::{self, Running};
use super::house::{self, House};
use super::job::Job;
use super::plan::Stage;
use super::wait::{self, Patience};
use super::work::Kind;
use super::{desk, shim};
use crate::core::census::Stake;
use crate::core::state::State;
use crate::core::sync::{Condvar, Mutex};
use crate::interrupt::finalizing::ThreadsStart;

/// How long it waits before it looks at what holds jobs up, and how long at most between two looks.
const LOOK: Duration = Duration::from_millis(20);
const LOOK_AT_MOST: Duration = Duration::from_millis(500);

/// How many jobs that come after one another are looked at.
const FARTHEST: usize = 1_000;

static CHANGED: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
static WAITS: AtomicBool = AtomicBool::new(false);
static NO_MORE_RUNS: AtomicBool = AtomicBool::new(false);

/// The last job of a kind has ended, in some house. Nothing, unless the program waits for that.
pub(crate) fn look() {
    // After the count: who waits says so first and looks at the counts then, so one of the two sees the other.
    if WAITS.load(Ordering::SeqCst) {
        drop(CHANGED.0.lock());
        CHANGED.1.notify_all();
    }
}

/// Whether somebody works interactively here, by what is so now.
pub(crate) fn is_interactive(py: Python<'_>) -> PyResult<bool> {
    shim::IS_INTERACTIVE.call(py, ())?.is_truthy()
}

/// Whether a periodic job has no further run, as the program waits for nothing else.
pub(crate) fn ends_schedule(job: &Job) -> bool {
    NO_MORE_RUNS.load(Ordering::SeqCst) && job.stake() == Some(Stake::Periodic)
}

/// In the child of a fork.
pub(crate) fn after_fork_in_child() {
    WAITS.store(false, Ordering::SeqCst);
    NO_MORE_RUNS.store(false, Ordering::SeqCst);
}

/// What `rjobs._lifecycle` has the end of the program begin with: block until every job has ended that it waits for, and
/// its callbacks have run. Jobs may start others meanwhile. Raises what a handler of a signal raises.
#[pyfunction]
pub(crate) fn _wait_at_end(py: Python<'_>) -> PyResult<()> {
    let place = Place::here(py)?;
    let threads_start = ThreadsStart::again(py);
    WAITS.store(true, Ordering::SeqCst);
    let waited = Watch::new(place).wait(py);
    WAITS.store(false, Ordering::SeqCst);
    drop(threads_start);
    waited
}

/// How many jobs have not ended that the end of the program waits for.
#[pyfunction]
pub(crate) fn _left_at_end(py: Python<'_>) -> PyResult<usize> {
    let place = Place::here(py)?;
    let houses = house::houses();
    let left = houses.iter().map(|house| place.count(house)).sum();
    // At their last run.
    let periodic = houses
        .iter()
        .map(|house| place.periodic(house))
        .sum::<usize>();
    let runs = NO_MORE_RUNS.load(Ordering::SeqCst);
    Ok(if runs { left + periodic } else { left })
}

impl Job {
    /// It was accepted: the end of the program is to know of it.
    pub(crate) fn is_counted(&self) {
        let is_periodic = self.plan.as_ref().is_some_and(|plan| plan.every.is_some());
        let stake = Stake::of(self.daemon.or(self.house.daemon), is_periodic);
        self.entry.enter(&self.house.census, stake);
    }

    /// It has ended, and its callbacks have run.
    pub(crate) fn is_done_with(&self) {
        if self.entry.leave(&self.house.census) {
            look();
        }
    }

    /// What the end of the program does with it, while it has not ended.
    pub(crate) fn stake(&self) -> Option<Stake> {
        self.entry.stake()
    }

    /// The end of the program does not wait for it, whatever was said.
    pub(crate) fn let_be(&self) {
        if self.entry.change(&self.house.census, Stake::Daemon) {
            look();
        }
    }

    /// Whether it does nothing until somebody reads what it has given.
    pub(super) fn is_held_up(&self) -> bool {
        match self.group.get() {
            Some(group) => !self.is_over() && group.is_held_up(),
            None => self.waits_for_a_reader(),
        }
    }

    /// Whether somebody has read, or began to.
    pub(super) fn was_read(&self) -> bool {
        match self.group.get() {
            Some(group) => group.was_read(),
            None => (self.held.lock().extras.as_ref()).is_some_and(|extras| extras.was_read),
        }
    }

    /// From here on nothing is held back for a reader.
    pub(super) fn needs_no_reader(&self, py: Python<'_>) {
        self.with_extras(|extras| extras.followers += 1);
        self.look_again(py);
        self.now_awaited(py);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // One that nothing would ever have run: nobody is to wait for it.
        self.is_done_with();
    }
}

/// Where the program runs.
#[derive(Debug, Clone, Copy)]
struct Place {
    is_script: bool,
}

impl Place {
    fn here(py: Python<'_>) -> PyResult<Self> {
        let is_script = !is_interactive(py)?;
        Ok(Self { is_script })
    }

    fn keeps(self, job: &Job) -> bool {
        match job.stake() {
            Some(Stake::Kept) => true,
            Some(Stake::ByPlace | Stake::Periodic) => self.is_script,
            Some(Stake::Daemon) | None => false,
        }
    }

    /// Or one that it waits for comes after it.
    fn needs(self, job: &Bound<'_, Job>) -> bool {
        let mut seen = 0;
        let mut left = vec![job.clone()];
        while let Some(job) = left.pop() {
            if self.keeps(job.get()) || seen > FARTHEST {
                return true;
            }
            seen += 1;
            let held = job.get().held.lock();
            let after = held.extras.iter().flat_map(|extras| &extras.dependents);
            left.extend(after.map(|after| after.bind(job.py()).clone()));
        }
        false
    }

    /// How many of a house it waits for; but for periodic ones, which go on while others are waited for.
    fn count(self, house: &House) -> usize {
        let by_place = if self.is_script {
            house.census.count(Stake::ByPlace)
        } else {
            0
        };
        house.census.count(Stake::Kept) + by_place
    }

    fn periodic(self, house: &House) -> usize {
        if self.is_script {
            house.census.count(Stake::Periodic)
        } else {
            0
        }
    }

    /// Whether there are some that it does not wait for.
    fn has_daemons(self, house: &House) -> bool {
        let others = [Stake::ByPlace, Stake::Periodic].map(|stake| house.census.count(stake));
        house.census.count(Stake::Daemon) > 0 || (!self.is_script && others != [0, 0])
    }
}

struct Watch {
    place: Place,
    next_look: Instant,
    pause: Duration,
    /// Jobs that are to be struck as soon as they may be.
    later: Vec<Running>,
}

impl Watch {
    fn new(place: Place) -> Self {
        Self {
            place,
            next_look: Instant::now() + LOOK,
            pause: LOOK,
            later: Vec::new(),
        }
    }

    fn wait(mut self, py: Python<'_>) -> PyResult<()> {
        loop {
            let houses = house::houses();
            let place = self.place;
            let others = houses.iter().map(|house| place.count(house)).sum::<usize>();
            if others == 0 {
                if houses.iter().all(|house| place.periodic(house) == 0) {
                    return Ok(());
                }
                NO_MORE_RUNS.store(true, Ordering::SeqCst);
                for house in &houses {
                    end_schedules(py, house);
                }
            }
            if Instant::now() >= self.next_look {
                self.look(py, &houses)?;
                self.pause = (self.pause * 2).min(LOOK_AT_MOST);
                self.next_look = Instant::now() + self.pause;
            }
            self.later.retain(|job| job.strike(py) == exit::NOT_NOW);
            let next = if self.later.is_empty() {
                self.next_look
            } else {
                Instant::now() + Duration::from_millis(1)
            };
            let is_periodic = others == 0;
            let is_over = || {
                houses.iter().all(|house| {
                    place.count(house) == 0 && (!is_periodic || place.periodic(house) == 0)
                })
            };
            wait::block(py, Patience::until(next), |until| {
                let mut guard = CHANGED.0.lock();
                while !is_over() {
                    let (back, is_late) = CHANGED.1.wait_until(&CHANGED.0, guard, until);
                    guard = back;
                    if is_late {
                        return None;
                    }
                }
                Some(())
            })?;
        }
    }

    fn look(&mut self, py: Python<'_>, houses: &[Arc<House>]) -> PyResult<()> {
        let houses = houses.iter().filter(|house| self.place.count(house) > 0);
        let houses: Vec<_> = houses.collect();
        for house in &houses {
            if self.place.has_daemons(house) {
                self.make_way(py, house);
            }
        }
        self.look_for_readers(py, &houses)
    }

    /// A job that is waited for waits itself behind others, which are ended anyway and may never end by themselves.
    fn make_way(&mut self, py: Python<'_>, house: &Arc<House>) {
        let place = self.place;
        if house.pool.is_behind(|job| place.keeps(job.get())) {
            let ended = exit::end_jobs(py, house, |job| !place.needs(job));
            self.later.extend(ended);
        }
        let queued = house.registry().map(|registry| {
            registry.collect(|job| {
                let job = job.get();
                let is_kept = job.state() == State::Queued && place.keeps(job);
                is_kept.then(|| (job.kind, job.plan.as_ref().map(|plan| plan.stage())))
            })
        });
        let queued = queued.unwrap_or_default();
        if queued.iter().any(|(_, stage)| *stage == Some(Stage::Limit)) {
            let has_limits = |job: &Job| job.plan.as_ref().is_some_and(|it| it.limits.is_some());
            let ended = exit::end_jobs(py, house, |job| has_limits(job.get()) && !place.needs(job));
            self.later.extend(ended);
        }
        if queued.iter().any(|(kind, stage)| {
            *kind == Kind::Command && stage.is_none_or(|it| it == Stage::Worker)
        }) {
            desk::end_all(py, |job| {
                Arc::ptr_eq(&job.get().house, house) && !place.needs(job)
            });
        }
    }

    /// What gives values, and waits for somebody to read them: where nobody ever did it runs on without, and where somebody has
    /// stopped reading it is not waited for, as soon as nothing else is.
    fn look_for_readers(&self, py: Python<'_>, houses: &[&Arc<House>]) -> PyResult<()> {
        let mut given_up = Vec::new();
        for house in houses {
            for job in running(py, house) {
                let job = job.bind(py);
                if !self.place.keeps(job.get()) || !job.get().is_held_up() {
                    continue;
                }
                if job.get().was_read() {
                    given_up.push(job.clone());
                } else {
                    job.get().needs_no_reader(py);
                }
            }
        }
        let all = houses
            .iter()
            .map(|house| self.place.count(house))
            .sum::<usize>();
        if !given_up.is_empty()
            && given_up.len() == all
            && !shim::HAS_OTHER_THREADS.call(py, ())?.is_truthy()?
        {
            for job in &given_up {
                job.get().let_be();
            }
        }
        Ok(())
    }
}

/// The jobs of a house that run.
fn running(py: Python<'_>, house: &House) -> Vec<Py<Job>> {
    if let Some(registry) = house.registry() {
        return registry.collect(|job| {
            let runs = job.get().state() == State::Running;
            runs.then(|| job.clone_ref(py))
        });
    }
    let members = house.members().into_iter();
    let on_workers =
        members.filter_map(|(_, job)| job.lock().as_ref().map(|job| job.clone_ref(py)));
    let on_the_loop = house.room.inside().into_iter();
    let on_the_loop = on_the_loop.filter_map(|errand| errand.job(py).map(Bound::unbind));
    on_workers.chain(on_the_loop).collect()
}

/// Periodic jobs that wait for their next run.
fn end_schedules(py: Python<'_>, house: &House) {
    let waiting = house.registry().map(|registry| {
        registry.collect(|job| {
            let plan = job.get().plan.as_ref();
            let waits = job.get().state() == State::Queued
                && plan.is_some_and(|plan| plan.stage() == Stage::Schedule)
                && ends_schedule(job.get());
            waits.then(|| job.clone_ref(py))
        })
    });
    for job in waiting.unwrap_or_default() {
        Job::end_queued(job.bind(py), State::Cancelled);
    }
}
