//! The end of the interpreter, and the beginning of a forked child.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use super::desk;
use super::errors::JobKilled;
use super::event_loop::errand::Errand;
use super::house::{self, House};
use super::job::Job;
use super::kill;
use super::wait::Patience;
use crate::core::state::State;
use crate::core::visits;
use crate::interrupt::beat;
use crate::interrupt::sight::Spare;
use crate::interrupt::slot::Slot;
use crate::interrupt::strike::Choice;

/// How long the exit waits for jobs that were struck. They need it to run their `finally` blocks; a job that is blocked
/// does not end in this time, and is left where it is.
const GRACE: Duration = Duration::from_millis(500);

/// How long it waits for our own threads to be done with what they are at.
const LAST: Duration = Duration::from_millis(500);

/// Jobs with `daemon=False` that have not ended, by their address: an executor has a million of them.
static KEEPERS: Mutex<BTreeMap<usize, Py<Job>>> = Mutex::new(BTreeMap::new());

/// The exit waits for `job`.
pub(crate) fn keep_for(job: &Bound<'_, Job>) {
    let kept = job.clone().unbind();
    KEEPERS.lock().insert(job.as_ptr() as usize, kept);
}

/// It has ended, and its callbacks have run.
pub(crate) fn forget(job: &Bound<'_, Job>) {
    let kept = KEEPERS.lock().remove(&(job.as_ptr() as usize));
    drop(kept);
}

/// Set when workers must begin nothing more.
static ENDING: AtomicBool = AtomicBool::new(false);

/// True when the interpreter ends, and no worker may come back to it.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::Acquire)
}

/// The interpreter ends: this thread must not be in the way, and never wants it back.
pub(crate) fn stay_out(py: Python<'_>) -> ! {
    py.detach(|| {
        loop {
            std::thread::park();
        }
    })
}

/// What `rjobs._lifecycle` has `threading` call before it finalizes anything.
///
/// Waits for jobs with `daemon=False`; then closes every pool, cancels what is queued, strikes what runs, and waits half a
/// second at most for the workers to be done with their jobs, and for external commands to end, which are killed then. Those
/// that are stay away from the interpreter for good. A job that still runs then stays where it is: `interrupt::call` keeps the
/// process from being aborted when it wants the interpreter back.
#[pyfunction]
pub(crate) fn _at_exit(py: Python<'_>) -> PyResult<()> {
    // Ctrl-C ends the waiting, as it does for threads that are no daemons, and is passed on.
    let waited = wait_for_keepers(py);
    ENDING.store(true, Ordering::Release);
    let houses = house::houses();
    let mut later = Vec::new();
    for house in &houses {
        house.pool.close_silently();
        later.extend(end_daemons(py, house));
    }
    desk::end_all(py, |_| true);
    let class = py.get_type::<JobKilled>();
    let slots: Vec<_> = houses.iter().flat_map(|house| house.slots()).collect();
    let is_busy = || {
        desk::is_busy()
            || slots.iter().any(|slot| slot.is_busy())
            || houses.iter().any(|house| house.room.is_busy())
    };
    let deadline = Instant::now() + GRACE;
    // By looking, since a thread that is stuck tells nobody; and only now, when the process is about to end.
    while is_busy() && Instant::now() < deadline {
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
        later.retain(|job| job.strike(&class) == Choice::NotNow);
    }
    desk::close(py);
    waited
}

/// What `rjobs._lifecycle` has `atexit` call, when the threads have ended that are no daemons: until then they may wait for
/// jobs and kill them.
///
/// Our own threads stay away from the interpreter for good, nobody is struck any more, and who is at that is waited for, for
/// half a second.
#[pyfunction]
pub(crate) fn _at_last(py: Python<'_>) {
    let deadline = Instant::now() + LAST;
    while !visits::close() && Instant::now() < deadline {
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
    }
}

/// A job that runs.
struct Running {
    house: Arc<House>,
    slot: Arc<Slot>,
    job: u64,
}

impl Running {
    fn strike(&self, class: &Bound<'_, PyType>) -> Choice {
        // A lock that `logging` is left with is one that `logging.shutdown` waits for without end.
        if !self.slot.may_be_struck(class.py(), self.job, Spare::Locks) {
            return Choice::NotNow;
        }
        kill::strike(&self.house, &self.slot, class, self.job);
        Choice::Settled
    }
}

fn wait_for_keepers(py: Python<'_>) -> PyResult<()> {
    loop {
        let keeper = KEEPERS
            .lock()
            .last_key_value()
            .map(|(_, job)| job.clone_ref(py));
        let Some(job) = keeper else { return Ok(()) };
        let job = job.bind(py);
        if !job.get().house.is_here() {
            forget(job);
            continue;
        }
        if job.get().is_over() {
            // Its callbacks run: what they do is as much a part of the program as the job, and they may start others.
            py.detach(|| std::thread::sleep(Duration::from_millis(1)));
            py.check_signals()?;
            continue;
        }
        if job.get().state() == State::Queued {
            // It may be queued behind jobs that never end, and that the exit ends anyway.
            let class = py.get_type::<JobKilled>();
            let mut later = end_daemons(py, &job.get().house);
            desk::end_daemons(py, &job.get().house);
            while !later.is_empty() {
                py.detach(|| std::thread::sleep(Duration::from_millis(1)));
                py.check_signals()?;
                later.retain(|job| job.strike(&class) == Choice::NotNow);
            }
        }
        job.get().wait(py, Patience::ENDLESS)?;
    }
}

/// Cancel what is queued and strike what runs, but for jobs with `daemon=False`; those that could not be struck just now.
fn end_daemons(py: Python<'_>, house: &Arc<House>) -> Vec<Running> {
    let class = py.get_type::<JobKilled>();
    let is_keeper = |job: u64| {
        KEEPERS.lock().values().any(|keeper| {
            let keeper = keeper.get();
            keeper.record.owns(job) && Arc::ptr_eq(&keeper.house, house)
        })
    };
    if is_ending() {
        // Also what waits beside the pool: for other jobs, a limit, its next try or run.
        let waits = |job: &Py<Job>| (job.get().state() == State::Queued).then(|| job.clone_ref(py));
        let waiting = house.registry().map(|registry| registry.collect(waits));
        for job in waiting.unwrap_or_default() {
            Job::end_queued(job.bind(py), State::Cancelled);
        }
    }
    for (job, rank) in house.pool.take_queue() {
        if is_ending() || job.get().daemon {
            Job::end_queued(job.bind(py), State::Cancelled);
        } else {
            house.pool.put_back(job, rank);
        }
    }
    for errand in house.room.inside() {
        if !is_ending() && is_keeper(errand.aim) {
            continue;
        }
        if let Some(job) = errand.job(py)
            && !Job::end_queued(&job, State::Cancelled)
        {
            // Its loop cancels it, and its steps are struck where that has to be: nothing is to be tried again here.
            Errand::ask(&errand, &class);
        }
    }
    let running = house.slots().into_iter().filter_map(|slot| {
        let job = slot.job().filter(|job| is_ending() || !is_keeper(*job))?;
        let house = Arc::clone(house);
        Some(Running { house, slot, job })
    });
    running
        .filter(|job| job.strike(&class) == Choice::NotNow)
        .collect()
}

/// Have `os.fork` call `_after_fork_in_child`, where there is a fork.
pub(crate) fn watch_forks(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let Some(register) = py.import("os")?.getattr_opt("register_at_fork")? else {
        return Ok(());
    };
    let kwargs = PyDict::new(py);
    kwargs.set_item("after_in_child", module.getattr("_after_fork_in_child")?)?;
    register.call((), Some(&kwargs))?;
    Ok(())
}

/// What `os.fork` calls in the child: its managers are the parent's, and their threads are not here.
#[pyfunction]
pub(crate) fn _after_fork_in_child() {
    house::next_generation();
    ENDING.store(false, Ordering::Release);
    // Nobody here can kill the job that forked: the guards let its thread be.
    beat::after_fork_in_child();
    visits::after_fork_in_child();
}
