//! Ending a job that runs: from outside, when its time is over, and a thread that is no job.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyBaseException, PyException, PySystemError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::alarm::Alarm;
use super::errors::JobKilled;
use super::event_loop::errand::Errand;
use super::house::House;
use super::job::Job;
use super::recruit::{Recruited, recruit};
use super::seconds::Given;
use super::wait::Patience;
use super::{current, desk, exit, on_kill, shim, troop};
use crate::command::Wish;
use crate::core::pool::Admission;
use crate::core::state::State;
use crate::core::visits;
use crate::interrupt::guest::strike_thread;
use crate::interrupt::pursuit::{Next, Pursuit};
use crate::interrupt::slot::{Obstacle, Slot};
use crate::interrupt::thread;
use crate::interrupt::{call, guard, pending, wake};

/// The class that a kill raises; None stands for `JobKilled`. It is tried here and now: one that cannot be made would end its
/// job by another error than the one that was asked for.
pub(crate) fn class_of<'py>(
    py: Python<'py>,
    exc: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyType>> {
    let Some(exc) = exc.filter(|exc| !exc.is_none()) else {
        return Ok(py.get_type::<JobKilled>());
    };
    let class = exc
        .cast::<PyType>()
        .ok()
        .filter(|class| class.is_subclass_of::<PyBaseException>().unwrap_or(false))
        .cloned()
        .ok_or_else(|| {
            PyTypeError::new_err(
                "exc must be an exception class, such as SystemExit: a thread cannot be sent an instance",
            )
        })?;
    let why = match class.call0() {
        Ok(made) if is_of(&made, &class) => return Ok(class),
        Ok(made) => format!("it gave a {}", made.get_type().name()?),
        Err(error) if !error.is_instance_of::<PyException>(py) => return Err(error),
        Err(error) => error.to_string(),
    };
    Err(PyTypeError::new_err(format!(
        "exc must be an exception class that can be made without arguments: {}() does not work ({why})",
        class.name()?
    )))
}

/// Whether an object is one of this class, whatever its metaclass says.
pub(super) fn is_of(object: &Bound<'_, PyAny>, class: &Bound<'_, PyType>) -> bool {
    object.get_type().mro().iter().any(|its| its.is(class))
}

/// Have `exc` raised in `job`, if it still runs in `slot`: by its event loop where it has one, else by the thread; at once,
/// or as soon as it is where it can be. From then on the timers see to it that it ends.
pub(crate) fn strike(house: &Arc<House>, slot: &Arc<Slot>, exc: &Bound<'_, PyType>, job: u64) {
    // The exit has struck everything, and takes no thread with it that looks at others.
    let Some(_visit) = visits::enter() else {
        return;
    };
    let py = exc.py();
    troop::strike_first(house, slot, exc);
    if slot.striker(py, job).is_none() && !slot.is_held() {
        on_kill::cover_call(py, house, slot, job);
    }
    strike_there(house, slot, exc, job);
}

/// The same, whatever the job is in.
fn strike_there(house: &Arc<House>, slot: &Arc<Slot>, exc: &Bound<'_, PyType>, job: u64) {
    let py = exc.py();
    let striker = slot.striker(py, job).filter(|_| !slot.is_held());
    if let Some(striker) = striker {
        slot.put_off(exc, job);
        ask(&striker, exc);
    } else {
        slot.strike_or_put_off(exc, job);
    }
    on_kill::call_due(slot, job);
    if slot.pursue(job) {
        let mut pursuit = Pursuit::new(slot, job);
        let time = pursuit.begin(py);
        pursue(house, pursuit, time);
    } else {
        // Whoever asks once more does not wait for the next look.
        slot.wake(py, job, &mut wake::Looks::default());
    }
}

fn ask(striker: &Py<PyAny>, exc: &Bound<'_, PyType>) {
    let py = exc.py();
    if let Ok(args) = (exc,).into_pyobject(py)
        && let Err(error) = call::call(striker.bind(py), &args, None)
    {
        // It does not raise; an interrupt of the thread that kills can be anywhere.
        PyErr::from_value(error.into_any()).write_unraisable(py, Some(striker.bind(py)));
    }
}

/// Take the next step after some time. Where the system has no thread for that, the strike has to arrive by itself.
fn pursue(house: &Arc<House>, pursuit: Pursuit, time: Duration) {
    let alarm = Alarm::Pursuit(Arc::clone(house), Box::new(pursuit));
    let _ = house.timers.add(Instant::now() + time, alarm);
}

pub(crate) fn step(py: Python<'_>, house: &Arc<House>, mut pursuit: Pursuit) {
    let (slot, job) = (Arc::clone(pursuit.slot()), pursuit.job());
    if let Some(exc) = slot.leave_calls(py, job) {
        // Where it is in another call by now, that is ended, too, and is not waited for any more.
        on_kill::help_out(py, house, &slot, job);
        strike_there(house, &slot, exc.bind(py), job);
    } else if let Some(exc) = slot.lift_covers(job) {
        strike_there(house, &slot, exc.bind(py), job);
    }
    let next = pursuit.step(py);
    on_kill::call_due(&slot, job);
    if pursuit.wants_help() {
        on_kill::help_out(py, house, &slot, job);
    }
    if std::mem::take(&mut pursuit.is_struck_again) {
        troop::strike_led(py, house, &slot);
    }
    replace_worker(py, house, &mut pursuit, next == Next::Over);
    let time = match next {
        Next::Over => return,
        Next::In(time) => slot.help_time_left().map_or(time, |help| time.min(help)),
        Next::Ask => {
            if let (Some(striker), Some(exc)) = (slot.striker(py, job), slot.last_asked(py)) {
                slot.put_off(exc.bind(py), job);
                ask(&striker, exc.bind(py));
            }
            Duration::from_millis(20)
        }
    };
    pursue(house, pursuit, time);
}

/// A worker whose job is in code that cannot be ended is missing in the pool: have another in its place until then.
fn replace_worker(py: Python<'_>, house: &Arc<House>, pursuit: &mut Pursuit, is_over: bool) {
    if pursuit.slot().is_member {
        return;
    }
    if is_over && pursuit.is_replaced {
        house.pool.one_is_back();
    } else if !is_over
        && !pursuit.is_replaced
        && pursuit.slot().obstacle() != Obstacle::None
        && !exit::is_ending()
    {
        pursuit.is_replaced = true;
        if house.pool.one_is_stuck() == Admission::NeedsWorker
            && let Recruited::No(error) | Recruited::Yes(Err(error)) = recruit(py, house)
        {
            error.write_unraisable(py, None);
        }
    }
}

/// For a job in an event loop: `striker(exc)` is asked to end it, and only when the loop has not said `strike_done()` 20 ms
/// later the thread is struck, when it is in code of the job. None: the thread is struck at once, as before.
#[pyfunction]
#[pyo3(signature = (striker, /))]
pub(crate) fn set_striker(py: Python<'_>, striker: Option<Py<PyAny>>) -> PyResult<()> {
    if let Some(slot) = current::my_slot() {
        slot.set_striker(striker);
    }
    // Any bytecode lets what was sent before arrive here, and not in the loop.
    pending::land(py)
}

/// The loop of the current job has come to what its striker was asked for.
#[pyfunction]
pub(crate) fn strike_done(py: Python<'_>) {
    if let Some(slot) = current::my_slot() {
        slot.has_done(py);
    }
}

impl Job {
    /// Ask for its end: a queued job never runs, a running one is struck. Does not wait. An error only in the job itself,
    /// where the exception is raised at once.
    pub(crate) fn strike(me: &Bound<'_, Self>, exc: &Bound<'_, PyType>) -> PyResult<()> {
        let (py, job) = (me.py(), me.get());
        if job.is_over() || Self::end_queued(me, State::Killed) {
            return Ok(());
        }
        let is_again = job.with_extras(|extras| {
            extras.asked_to_end += 1;
            extras.asked_to_end > 1
        });
        // Before the strike: the class outlives whatever the thread's state holds of it, and who reads the outcome finds it.
        let class = exc.clone().unbind();
        let known = job.with_extras(|extras| {
            if extras.kills.iter().any(|kill| kill.is(&class)) {
                return Some(class);
            }
            extras.kills.push(class);
            None
        });
        drop(known);
        // A run that ended meanwhile may have queued it once more, without having seen what was noted just now.
        if Self::end_queued(me, State::Killed) {
            return Ok(());
        }
        job.strike_troop(exc, is_again);
        if let Some(group) = job.group.get() {
            return group.strike(me, exc);
        }
        if let Some(command) = job.command() {
            desk::ask(&command, Wish::Kill);
            return Ok(());
        }
        let Some(slot) = job.slot() else {
            return Ok(());
        };
        let errand = job.errand();
        if slot.thread().ident == thread::ident() && slot.job() == Some(job.record.aim()) {
            slot.struck_itself();
            if let Some(errand) = errand.filter(|errand| !errand.is_in_main()) {
                // What raises is a task or a callback of the job only.
                Errand::ask(&errand, exc);
            }
            return Err(PyErr::from_type(
                exc.clone(),
                format!("{} killed itself", job.title(py)),
            ));
        }
        if let Some(errand) = errand {
            Errand::ask(&errand, exc);
            return Ok(());
        }
        // Where the slot no longer names the job, it is ending by itself, and nobody is hit.
        strike(&job.house, &slot, exc, job.record.aim());
        Ok(())
    }
}

#[pymethods]
impl Job {
    /// End it now, and wait up to `timeout` seconds (None: no limit; 0: ask and return at once) until it has ended.
    ///
    /// Returns True when it has ended, in whatever way, False when it has not yet: then the kill stays pending and lands as
    /// soon as it can (see `kill_pending`, `in_native_code`). A queued job never runs. A running one gets `JobKilled`, or the
    /// class `exc`, raised where it is. A kill is bound to the job: one that comes as the job ends hits nobody. Called by the
    /// job itself, it raises at once.
    ///
    /// A call of the standard library that blocks (a sleep, a lock, a queue, a socket, a pipe, a child process) is ended and
    /// raises the kill itself; on macOS and Windows sleeps and waits for locks do, other calls when they return. `finally` and
    /// `with` blocks run, and have half a second until the job is struck again. A job that catches the exception and goes on
    /// is struck again at once, and after the third time each of its lines raises. Code of an extension that neither returns
    /// nor waits in a call of the standard library cannot be ended; the kill lands when it returns, and another worker takes
    /// the place of this one meanwhile. `with current_job().shield():` makes a kill wait.
    ///
    /// An external command (`shell`) gets SIGTERM with all that it started, and SIGKILL half a second later; `exc` is then what
    /// `get()` raises.
    /// A coroutine job that is suspended is cancelled: its `await` raises `asyncio.CancelledError`, and what leaves the job is the
    /// kill. Asked by another coroutine job of the same manager, `kill` does not wait, and returns False for one that runs.
    ///
    /// Raises `TypeError` when `exc` is no exception class, or one that cannot be made without arguments. Blocks; Ctrl-C raises `KeyboardInterrupt` here within 100 ms.
    #[pyo3(
        signature = (timeout = Given::Default, exc = None),
        text_signature = "($self, timeout=5.0, exc=None)"
    )]
    fn kill(
        me: &Bound<'_, Self>,
        timeout: Given<'_>,
        exc: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let patience = Patience::of_kill("timeout", &timeout)?;
        let class = class_of(me.py(), exc)?;
        Self::kill_and_wait(me, &class, patience)
    }
}

/// Raise `exc` in a thread: the `kill_thread` of the well-known snippet, mended.
///
/// `thread` is a `threading.Thread`, a thread ident, or a `Job`. A job is killed as by `job.kill(0, exc)`, bound to the job;
/// a pool's worker thread while it runs a job likewise, and a thread that a job started, bound to what that does. Any other thread is sent the exception: that is bound to the thread and
/// not to what it does, and it is sent once. Where the thread waits in a call of the standard library that `kill` can end
/// (a sleep, a lock, a queue, a socket, a child process), and began to after `import rjobs`, that call ends and raises it, on
/// Linux; else it is raised when the thread next runs Python code. The main thread's calls are never ended. A thread that has
/// ended is left alone. Returns None, at once as a rule and after 0.1 seconds at most. Raises `TypeError` for what is no thread or no exception class, `ValueError` for an ident that is no
/// thread's or a thread that was not started.
#[pyfunction]
#[pyo3(signature = (thread, exc = None))]
pub(crate) fn kill_thread(
    py: Python<'_>,
    thread: &Bound<'_, PyAny>,
    exc: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let system_error = py.get_type::<PySystemError>().into_any();
    let class = class_of(py, Some(exc.unwrap_or(&system_error)))?;
    if let Ok(job) = thread.cast::<Job>() {
        return Job::strike(job, &class);
    }
    let is_thread = py
        .import("threading")?
        .getattr("Thread")
        .and_then(|t| thread.is_instance(&t))?;
    let ident: Option<u64> = if is_thread {
        let ident = thread.getattr("ident")?;
        if ident.is_none() {
            return Err(PyValueError::new_err(format!(
                "{} was not started",
                thread.repr()?
            )));
        }
        if !thread.call_method0("is_alive")?.is_truthy()? {
            return Ok(());
        }
        ident.extract().ok()
    } else if thread.is_instance_of::<pyo3::types::PyBool>() {
        None
    } else {
        thread.extract().ok()
    };
    let Some(ident) = ident.and_then(|ident| std::ffi::c_ulong::try_from(ident).ok()) else {
        return Err(PyTypeError::new_err(
            "kill_thread needs a threading.Thread, the ident of one, or a Job",
        ));
    };
    match current::worker_of(py, ident)? {
        // The worker itself is not to be killed, and its next job even less.
        Some(worker) if worker.is_none() => return Ok(()),
        Some(job) => return Job::strike(job.cast::<Job>()?, &class),
        None => {}
    }
    if ident == crate::interrupt::thread::ident() {
        return Err(PyErr::from_type(class, "the thread killed itself"));
    }
    if let Some((house, slot, work)) = troop::at_work(ident) {
        strike(&house, &slot, &class, work);
        return Ok(());
    }
    // What was loaded since rjobs was imported (`ssl`), for what the thread does next.
    shim::importing(py, || guard::install(py));
    if strike_thread(&class, ident) {
        Ok(())
    } else {
        Err(PyValueError::new_err(format!(
            "there is no thread with the ident {ident}"
        )))
    }
}

/// The blocking functions of the standard library that are guarded, so that a kill can end them: a list of names.
#[pyfunction]
pub(crate) fn _guards() -> Vec<String> {
    guard::in_force()
}

/// For `python -m rjobs`: what `RJOBS_GUARDS` says, whether calls can be ended from outside here, and each function that is not
/// guarded, with the reason.
#[pyfunction]
pub(crate) fn _guards_aside() -> (&'static str, bool, Vec<(String, &'static str)>) {
    (guard::mode().name(), wake::is_possible(), guard::aside())
}

/// Take all guards out (False), or put them in force again (True). While they are out, a kill
/// does not reach blocked calls that begin then.
#[pyfunction]
#[pyo3(signature = (on, /))]
pub(crate) fn _set_guards(py: Python<'_>, on: bool) {
    if on {
        guard::put_in_force(py);
    } else {
        guard::restore(py);
        wake::uninstall();
    }
}
