//! The end of the interpreter, and the beginning of a forked child.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pyo3::prelude::*;

use super::errors::JobKilled;
use super::house;
use super::job::Job;
use super::wait::Patience;
use crate::core::state::State;

/// How long the exit waits for jobs that were struck. They need it to run their `finally` blocks; a job that is blocked
/// does not end in this time, and is left where it is.
const GRACE: Duration = Duration::from_millis(500);

/// Jobs with `daemon=False` that have not ended.
static KEEPERS: Mutex<Vec<Py<Job>>> = Mutex::new(Vec::new());

/// The exit waits for `job`.
pub(crate) fn keep_for(job: &Bound<'_, Job>) {
    KEEPERS.lock().push(job.clone().unbind());
}

/// It has ended.
pub(crate) fn forget(job: &Bound<'_, Job>) {
    let kept = {
        let mut keepers = KEEPERS.lock();
        let index = keepers.iter().position(|kept| kept.is(job));
        index.map(|index| keepers.swap_remove(index))
    };
    drop(kept);
}

/// What `rjobs._lifecycle` has `threading` call before it finalizes anything.
///
/// Waits for jobs with `daemon=False`; then closes every pool, cancels what is queued, strikes what runs, and waits half a
/// second at most. What still runs then stays where it is: `interrupt::call` keeps the process from being aborted when
/// such a thread wants the interpreter back.
#[pyfunction]
pub(crate) fn _at_exit(py: Python<'_>) -> PyResult<()> {
    loop {
        let keepers = std::mem::take(&mut *KEEPERS.lock());
        if keepers.is_empty() {
            break;
        }
        for job in keepers {
            // Ctrl-C ends the waiting, as it does for threads that are no daemons.
            if job.get().house.is_here() {
                job.get().wait(py, Patience::of(None)?)?;
            }
        }
    }
    let houses = house::houses();
    for house in &houses {
        house.pool.close_silently();
        for job in house.pool.take_queue() {
            Job::end_queued(job.bind(py), State::Cancelled);
        }
    }
    let class = py.get_type::<JobKilled>();
    let slots: Vec<_> = houses.iter().flat_map(|house| house.slots()).collect();
    for slot in &slots {
        if let Some(job) = slot.job() {
            slot.strike(&class, job);
        }
    }
    let deadline = Instant::now() + GRACE;
    // By looking, since a thread that is stuck tells nobody; and only now, when the process is about to end.
    while slots.iter().any(|slot| slot.job().is_some()) && Instant::now() < deadline {
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
    }
    Ok(())
}

/// What `os.fork` calls in the child: its managers are the parent's, and their threads are not here.
#[pyfunction]
pub(crate) fn _after_fork_in_child() {
    house::next_generation();
}
