//! The end of the interpreter, and the beginning of a forked child.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors::JobKilled;
use super::event_loop::errand::Errand;
use super::house::{self, House};
use super::job::Job;
use super::{current, desk, kill, last_wait, recruit, shim, troop};
use crate::core::generations;
use crate::core::state::State;
use crate::core::{roll, visits};
use crate::interrupt::beat;
use crate::interrupt::exit_code;
use crate::interrupt::last_rung;
use crate::interrupt::sight::Spare;
use crate::interrupt::slot::Slot;
use crate::interrupt::strike::Choice;

/// How long the exit waits for jobs that were struck. They need it to run their `finally` blocks; a job that is blocked
/// does not end in this time, and is left where it is.
const GRACE: Duration = Duration::from_millis(500);

/// How long it waits at most while one after the other of them ends: on a busy machine many take their time. The exit is promised
/// within two seconds.
const LONGEST: Duration = Duration::from_millis(1_500);

/// How long it waits for our own threads to be done with what they are at.
const LAST: Duration = Duration::from_millis(500);

/// Set when workers must begin nothing more.
static ENDING: AtomicBool = AtomicBool::new(false);

/// True when the interpreter ends, and no worker may come back to it.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::Acquire)
}

/// True when the threads have ended that the interpreter waits for, and it is about to be gone.
pub(crate) fn has_closed() -> bool {
    visits::is_closed()
}

/// The interpreter ends: this thread must not be in the way, and never wants it back.
pub(crate) fn stay_out(py: Python<'_>) -> ! {
    roll::is_lost();
    py.detach(|| {
        loop {
            std::thread::park();
        }
    })
}

/// Whether the end has come so far that nothing is taken any more.
#[pyfunction]
pub(crate) fn _is_ending() -> bool {
    is_ending()
}

/// What `rjobs._lifecycle` has the end of the program do when it waits for no job any more, before `threading` joins threads and
/// anything is finalized.
///
/// Closes every pool, cancels what is queued, strikes what runs, and waits half a second (while they end one after the other,
/// `LONGEST` at most) for the workers to be done with their jobs, and for external commands to end, which are killed then. Their
/// threads end, as the program's own do.
/// A job that still runs then stays where it is: `interrupt::call` keeps the process from being aborted when it wants the
/// interpreter back.
#[pyfunction]
pub(crate) fn _at_exit(py: Python<'_>) {
    ENDING.store(true, Ordering::Release);
    let houses = house::houses();
    for house in &houses {
        house.room.hush(py);
    }
    let mut later = Vec::new();
    for house in &houses {
        house.pool.close();
        // Also what waits beside the pool: for other jobs, a limit, its next try or run.
        let waits = |job: &Py<Job>| (job.get().state() == State::Queued).then(|| job.clone_ref(py));
        let waiting = house.registry().map(|registry| registry.collect(waits));
        for job in waiting.unwrap_or_default() {
            Job::end_queued(job.bind(py), State::Cancelled);
        }
        later.extend(end_jobs(py, house, |_| true));
        house.room.end(py);
    }
    // Their threads stay where they are.
    for house in &houses {
        house.roll.void();
    }
    desk::end_all(py, |_| true);
    let slots: Vec<_> = houses.iter().flat_map(|house| house.slots()).collect();
    let how_busy = || {
        desk::how_busy()
            + slots.iter().filter(|slot| slot.is_busy()).count()
            + houses
                .iter()
                .map(|house| house.room.how_busy())
                .sum::<usize>()
    };
    let last = Instant::now() + LONGEST;
    let (mut deadline, mut busy) = (Instant::now() + GRACE, usize::MAX);
    // By looking, since a thread that is stuck tells nobody; and only now, when the process is about to end.
    while Instant::now() < deadline {
        let before = std::mem::replace(&mut busy, how_busy());
        if busy < before {
            deadline = last.min(Instant::now() + GRACE);
        }
        if busy == 0 {
            // What it may raise is what a signal's handler does: then nothing more is waited for.
            let gone = shim::ARE_GONE.call(py, ());
            if gone.and_then(|gone| gone.is_truthy()).unwrap_or(true) {
                break;
            }
        }
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
        later.retain(|job: &Running| job.strike(py) == NOT_NOW);
    }
    desk::close(py);
}

/// What `rjobs._lifecycle` has `atexit` call, when the threads have ended that are no daemons: until then they may wait for
/// jobs and kill them.
///
/// Our own threads stay away from the interpreter for good, nobody is struck any more, and who is at that is waited for, for
/// half a second. Nothing is held any more that the program would finalize without us. Where a job is stuck in native code, it is
/// seen to it that the process ends all the same (`last_rung`): with `code`, unless it ends by `SystemExit`. The idents of the
/// threads that are stuck.
#[pyfunction]
#[pyo3(signature = (code, /))]
pub(crate) fn _at_last(py: Python<'_>, code: i32) -> Vec<std::ffi::c_ulong> {
    let deadline = Instant::now() + LAST;
    while !visits::close() && Instant::now() < deadline {
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
    }
    // What is kept here is the program's, and to be finalized with it: jobs that nobody waits for any more.
    for house in house::houses() {
        house.watch.stop();
        drop((house.timers.clear(), house.limits.take_all()));
    }
    desk::let_go_of_all();
    current::nobody_works_for_a_job();
    let houses = house::houses().into_iter();
    let stuck: Vec<_> = houses
        .flat_map(|house| {
            let on_the_loop = house.room.inside().into_iter();
            let mut slots: Vec<_> = on_the_loop
                .filter_map(|errand| errand.slot().cloned())
                .take(1)
                .collect();
            slots.extend(house.slots());
            slots
        })
        .filter(|slot| slot.is_at_work())
        .collect();
    let idents = stuck.iter().map(|slot| slot.thread().ident).collect();
    if !stuck.is_empty() {
        last_rung::arm(stuck, code);
    }
    idents
}

/// Note with which code the program ends, from here on. On the main thread.
#[pyfunction]
pub(crate) fn _watch_exit_code(py: Python<'_>) {
    exit_code::watch(py);
}

/// Keep something until the process is gone: it is not finalized with the interpreter.
#[pyfunction]
#[pyo3(signature = (kept, /))]
pub(crate) fn _keep_for_good(kept: Py<PyAny>) {
    std::mem::forget(kept);
}

/// A job that runs.
pub(crate) struct Running {
    house: Arc<House>,
    slot: Arc<Slot>,
    job: u64,
}

/// It is to be tried again in a moment.
pub(crate) const NOT_NOW: Choice = Choice::NotNow;

impl Running {
    /// End it, if that may be just now.
    pub(crate) fn strike(&self, py: Python<'_>) -> Choice {
        troop::strike_first(&self.house, &self.slot, &py.get_type::<JobKilled>());
        // A lock that `logging` is left with is one that `logging.shutdown` waits for without end.
        if !self.slot.may_be_struck(py, self.job, Spare::Locks) {
            return NOT_NOW;
        }
        kill::strike(
            &self.house,
            &self.slot,
            &py.get_type::<JobKilled>(),
            self.job,
        );
        Choice::Settled
    }
}

/// Cancel what is queued for the workers of a house and strike what runs: all that `is_meant`. Those that could not be struck
/// just now.
pub(crate) fn end_jobs(
    py: Python<'_>,
    house: &Arc<House>,
    is_meant: impl Fn(&Bound<'_, Job>) -> bool,
) -> Vec<Running> {
    for (job, rank) in house.pool.take_queue() {
        if is_ending() || is_meant(job.bind(py)) {
            Job::end_queued(job.bind(py), State::Cancelled);
        } else {
            house.pool.put_back(job, rank);
        }
    }
    for errand in house.room.inside() {
        if let Some(job) = errand.job(py).filter(&is_meant)
            && !Job::end_queued(&job, State::Cancelled)
        {
            // Its loop cancels it, and its steps are struck where that has to be: nothing is to be tried again here.
            Errand::ask(&errand, &py.get_type::<JobKilled>());
        }
    }
    let running = house.members().into_iter().filter_map(|(slot, here)| {
        let aim = slot.job()?;
        let job = here.lock().as_ref().map(|job| job.clone_ref(py));
        let is_meant = match job {
            // It goes on to another one just now, where nobody knows yet which.
            None => is_ending(),
            Some(job) => is_ending() || (job.get().record.owns(aim) && is_meant(job.bind(py))),
        };
        let house = Arc::clone(house);
        is_meant.then_some(Running {
            house,
            slot,
            job: aim,
        })
    });
    let running: Vec<_> = running.collect();
    running
        .into_iter()
        .filter(|job| job.strike(py) == NOT_NOW)
        .collect()
}

/// Have `os.fork` call `_before_fork` and `_after_fork_in_child`, where there is a fork.
pub(crate) fn watch_forks(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let Some(register) = py.import("os")?.getattr_opt("register_at_fork")? else {
        return Ok(());
    };
    let kwargs = PyDict::new(py);
    kwargs.set_item("before", module.getattr("_before_fork")?)?;
    kwargs.set_item("after_in_child", module.getattr("_after_fork_in_child")?)?;
    register.call((), Some(&kwargs))?;
    Ok(())
}

/// What `os.fork` calls before it forks.
#[pyfunction]
pub(crate) fn _before_fork(py: Python<'_>) {
    shim::before_fork(py);
}

/// What `os.fork` calls in the child: its managers are the parent's, and their threads are not here.
#[pyfunction]
pub(crate) fn _after_fork_in_child(py: Python<'_>) {
    generations::after_fork_in_child();
    ENDING.store(false, Ordering::Release);
    // Nobody here can kill the job that forked: the guards let its thread be.
    beat::after_fork_in_child();
    visits::after_fork_in_child();
    last_wait::after_fork_in_child();
    current::after_fork_in_child();
    shim::after_fork_in_child();
    recruit::after_fork_in_child(py);
}
