//! What a job has started besides itself, and what ends with it: threads, and what `rjobs._troops` keeps of it in Python: queues of
//! its pools, and its processes.

use std::ffi::c_ulong;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::alarm::Alarm;
use super::errors::JobKilled;
use super::house::House;
use super::job::Job;
use super::{current, kill, shim};
use crate::core::sync::Mutex;
use crate::interrupt::names::name;
use crate::interrupt::slot::Slot;
use crate::interrupt::troop::{Member, Troop};
use crate::interrupt::{beat, call, guard, thread};

/// Slots of threads that jobs have started, as far as these live.
static SLOTS: Mutex<Vec<(Weak<Slot>, Weak<House>)>> = Mutex::new(Vec::new());

/// Each piece of work on such a thread has a number of its own, so that a strike hits it or nobody.
static WORK: AtomicU64 = AtomicU64::new(1);

/// What the current job has started, in Python: an object that is made with the first of it. None outside of jobs.
#[pyfunction]
pub(crate) fn belongings(py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
    let Some(job) = current::job(py)? else {
        return Ok(None);
    };
    Ok(Some(troop_of(&job)?.belongings(py)))
}

/// The troop of this run of a job, which is struck with it from here on.
fn troop_of(job: &Bound<'_, Job>) -> PyResult<Arc<Troop>> {
    let (py, run) = (job.py(), job.get().record.aim());
    let known = job.get().troop();
    let troop = if let Some(troop) = known.filter(|troop| troop.run() == run) {
        troop
    } else {
        let belongings = shim::BELONGINGS.call(py, (job,))?.unbind();
        let made = Arc::new(Troop::new(run, belongings));
        let before = job.get().with_extras(|extras| match &extras.troop {
            // Another of its threads has made it meanwhile.
            Some(known) if known.run() == run => Err(Arc::clone(known)),
            _ => Ok(extras.troop.replace(Arc::clone(&made))),
        });
        before.err().unwrap_or(made)
    };
    let slot = current::my_slot()
        .or_else(|| job.get().slot())
        .or_else(|| job.get().errand()?.slot().cloned());
    let runs_it = |slot: &Arc<Slot>| slot.job().is_some_and(|aim| job.get().record.owns(aim));
    if let Some(slot) = slot.filter(runs_it) {
        slot.leads(&troop);
    }
    Ok(troop)
}

/// Whether the calling thread works for a job that was struck, and what was sent to it has not arrived. Else code that must not be
/// struck goes on as if nothing had happened.
#[pyfunction]
pub(crate) fn is_to_end(py: Python<'_>) -> bool {
    current::any_slot().is_some_and(|slot| slot.is_to_end(py))
}

/// What a thread that a job starts does for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    /// It manages others, and ends with them: it is not struck, and only waited for.
    Manages,
    /// All that it does is one piece of work.
    Works,
    /// It takes one piece of work after the other from a queue.
    Serves,
}

/// A thread that a job starts: made by who starts it, then held by the thread.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct Aide {
    house: Arc<House>,
    troop: Arc<Troop>,
    member: Arc<Member>,
    duty: Duty,
    /// How often it had been struck when it fetched what it works at.
    fetched: AtomicU64,
    /// What was raised last on it was the kill.
    was_killed: AtomicBool,
}

/// For a thread that the current job is about to start; None outside of jobs.
#[pyfunction]
#[pyo3(signature = (duty, /))]
pub(crate) fn enlist(py: Python<'_>, duty: &str) -> PyResult<Option<Aide>> {
    let Some(job) = current::job(py)? else {
        return Ok(None);
    };
    guard::find_joining(py)?;
    let (troop, member) = (troop_of(&job)?, Arc::new(Member::default()));
    troop.join(&member);
    let duty = match duty {
        "works" => Duty::Works,
        "serves" => Duty::Serves,
        _ => Duty::Manages,
    };
    Ok(Some(Aide {
        house: Arc::clone(&job.get().house),
        troop,
        member,
        duty,
        fetched: AtomicU64::new(0),
        was_killed: AtomicBool::new(false),
    }))
}

#[pymethods]
impl Aide {
    /// Whether all that it does is struck with the job, as one piece of work.
    fn is_one_piece(&self) -> bool {
        self.duty == Duty::Works
    }

    /// What a join of the thread waits for: its lock, or its handle.
    fn is_awaited_by(&self, what: &Bound<'_, PyAny>) {
        self.member.is_awaited_at(what.as_ptr() as usize);
    }

    /// On the thread itself: it begins to work for the job.
    fn begin(&self, py: Python<'_>, job: Py<Job>) {
        let slot = (self.duty != Duty::Manages).then(|| {
            let slot = Arc::new(Slot::of_this_member(py, &self.troop));
            beat::set_here(Some(&slot));
            self.member.moved_in(&slot);
            let mut slots = SLOTS.lock();
            if slots.len() == slots.capacity() {
                slots.retain(|(slot, _)| slot.strong_count() > 0);
            }
            slots.push((Arc::downgrade(&slot), Arc::downgrade(&self.house)));
            drop(slots);
            slot
        });
        current::works_for(job, slot);
    }

    /// `get(*args)`, and what comes of it is what the thread works at next.
    #[pyo3(signature = (get, /, *args))]
    fn fetch<'py>(
        &self,
        get: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let before = self.member.strikes();
        let result = call::call(get, args, None);
        // With the GIL nobody comes in between: what was there when the job was struck has an older number, or a mark.
        let fetched = if cfg!(Py_GIL_DISABLED) {
            before
        } else {
            self.member.strikes()
        };
        self.fetched.store(fetched, Ordering::Release);
        result.map_err(|error| PyErr::from_value(error.into_any()))
    }

    /// Call `fn(*args, **kwargs)`: a piece of work, that is struck with the job. What was sent and has not arrived when it
    /// returns is taken back.
    #[pyo3(signature = (r#fn, /, *args, **kwargs))]
    fn call<'py>(
        &self,
        r#fn: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = r#fn.py();
        let slot = self.member.slot().filter(|_| self.house.is_here());
        // Within another one it is a part of that.
        let Some(slot) = slot.filter(|slot| slot.job().is_none()) else {
            let called = call::call(r#fn, args, kwargs);
            return called.map_err(|error| PyErr::from_value(error.into_any()));
        };
        slot.open(WORK.fetch_add(1, Ordering::Relaxed));
        let result = if self.member.strikes() == self.fetched.load(Ordering::Acquire) {
            call::call(r#fn, args, kwargs)
        } else {
            // The job was struck before this came to be open.
            slot.struck_itself();
            Err(JobKilled::new_err(()).into_value(py).into_bound(py))
        };
        if !self.house.is_here() {
            // The child of a fork: nothing of this is its own.
            return result.map_err(|error| PyErr::from_value(error.into_any()));
        }
        let sent = slot.last_asked(py);
        // Before anything else can run Python code.
        let is_struck = slot.close(py).at_all;
        self.was_killed.store(false, Ordering::Relaxed);
        result.map_err(|error| {
            let is_it = is_struck && is_kill(&error, sent.as_ref());
            self.was_killed.store(is_it, Ordering::Relaxed);
            PyErr::from_value(error.into_any())
        })
    }

    /// Whether what the last piece of work raised is what its job was killed by.
    fn was_killed(&self) -> bool {
        self.was_killed.load(Ordering::Relaxed)
    }

    /// The thread ends, or was not started.
    fn end(&self) {
        if !self.house.is_here() {
            return;
        }
        self.troop.leave(&self.member);
        if let Some(slot) = self.member.slot()
            && slot.thread().ident == thread::ident()
        {
            slot.retire();
        }
    }
}

fn is_kill(error: &Bound<'_, PyBaseException>, sent: Option<&Py<PyType>>) -> bool {
    let (py, error) = (error.py(), error.as_any());
    sent.is_some_and(|class| kill::is_of(error, class.bind(py)))
        || error.is_instance_of::<JobKilled>()
}

/// What `job` has started is struck: once, before it is itself. `is_again`: the job went on for half a second, so what it has started
/// meanwhile is struck as well.
pub(super) fn strike(house: &Arc<House>, troop: &Troop, exc: &Bound<'_, PyType>, is_again: bool) {
    let py = exc.py();
    if !troop.strike() && !is_again {
        return;
    }
    let members = troop.members();
    // First: what waits in queues of its pools is not to be taken by threads that were struck already.
    let belongings = troop.belongings(py);
    let told = belongings.call_method1(py, name!(py, "struck"), (is_again,));
    look_later(py, house, belongings, told);
    for member in members {
        member.struck();
        let Some(slot) = member.slot() else { continue };
        if let Some(work) = slot.job().filter(|work| !slot.is_struck(*work)) {
            kill::strike(house, slot, exc, work);
        }
    }
}

/// What runs in a slot is struck: first what it has started.
pub(super) fn strike_first(house: &Arc<House>, slot: &Slot, exc: &Bound<'_, PyType>) {
    if let Some(troop) = slot.troop().filter(|_| !slot.is_member) {
        strike(house, &troop, exc, false);
    }
}

/// It was struck again.
pub(super) fn strike_led(py: Python<'_>, house: &Arc<House>, slot: &Slot) {
    if let Some(exc) = slot.last_asked(py)
        && let Some(troop) = slot.troop().filter(|_| !slot.is_member)
    {
        strike(house, &troop, exc.bind(py), true);
    }
}

/// They said after how many seconds they want to look again at what they have ended, or None.
fn look_later(
    py: Python<'_>,
    house: &Arc<House>,
    belongings: Py<PyAny>,
    told: PyResult<Py<PyAny>>,
) {
    let seconds = told.and_then(|told| told.extract::<Option<f64>>(py));
    match seconds {
        Ok(Some(seconds)) => {
            let alarm = Alarm::Troop(Arc::clone(house), belongings);
            let time = Instant::now() + Duration::from_secs_f64(seconds);
            // Without the timers the end of the program looks.
            let _ = house.timers.add(time, alarm);
        }
        Ok(None) => {}
        Err(error) => error.write_unraisable(py, None),
    }
}

/// It is time.
pub(super) fn look(py: Python<'_>, house: &Arc<House>, belongings: Py<PyAny>) {
    let told = belongings.call_method0(py, name!(py, "look"));
    look_later(py, house, belongings, told);
}

impl Job {
    pub(crate) fn troop(&self) -> Option<Arc<Troop>> {
        let held = self.held.lock();
        held.extras.as_ref()?.troop.clone()
    }

    /// What it has started is struck; where somebody asks for its end once more, waits for that are cut.
    pub(super) fn strike_troop(&self, exc: &Bound<'_, PyType>, is_asked_again: bool) {
        let run = self.record.aim();
        let Some(troop) = self.troop().filter(|troop| troop.run() == run) else {
            return;
        };
        if is_asked_again && troop.is_struck() {
            troop.cut();
        }
        strike(&self.house, &troop, exc, false);
    }
}

/// The slot of a thread that a job started, by its ident, and the work that it is at.
pub(super) fn at_work(ident: c_ulong) -> Option<(Arc<House>, Arc<Slot>, u64)> {
    let alive: Vec<_> = (SLOTS.lock().iter())
        .filter_map(|(slot, house)| Some((slot.upgrade()?, house.upgrade()?)))
        .collect();
    // One that has ended may have had the same.
    let here = alive
        .into_iter()
        .filter(|(slot, _)| slot.thread().ident == ident);
    here.into_iter().find_map(|(slot, house)| {
        let work = slot.job()?;
        Some((house, slot, work))
    })
}
