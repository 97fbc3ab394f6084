//! Blocks of a job that a kill ends by a function: `with current_job().on_kill(connection.cancel):`.
//!
//! See `interrupt/cover.rs` for what a strike does meanwhile. The functions run here, each on a thread of its own: never on that of
//! the killer, who may be the program's timers, its exit, or a user who waits.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;

use pyo3::exceptions::{PyBaseException, PyTypeError};
use pyo3::prelude::*;

use super::event_loop::errand::Errand;
use super::event_loop::meaning::instance_of;
use super::event_loop::to_the_loop::is_coroutine_function;
use super::house::House;
use super::job::Job;
use super::{current, fault, shim};
use crate::core::sync::{STACK_SIZE, has_memory_for_thread};
use crate::core::visits;
use crate::interrupt::cover::Cover;
use crate::interrupt::names::name;
use crate::interrupt::slot::Slot;
use crate::interrupt::{call, pending};

/// How long a function that is called after another one waits for it.
const TURN: std::time::Duration = std::time::Duration::from_millis(100);

thread_local! {
    /// The job that the calling thread ends a call of; 0 for none.
    static HELPS: Cell<usize> = const { Cell::new(0) };
}

/// Whether the calling thread ends a call of `job`, so that it must not wait for the end of that.
pub(crate) fn helps(job: &Bound<'_, Job>) -> bool {
    HELPS.get() == job.as_ptr() as usize
}

/// What `job.on_kill(fn)` gives: a `with` block that a kill ends by calling a function.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct OnKill {
    job: Py<Job>,
    cancel: Py<PyAny>,
    slot: Option<Arc<Slot>>,
    /// Of a coroutine job, which may be suspended in the block while others run.
    errand: Option<Arc<Errand>>,
    /// Those that were entered and not left.
    entered: crate::core::sync::Mutex<Vec<Arc<Cover>>>,
}

#[pymethods]
impl OnKill {
    fn __enter__(&self, py: Python<'_>) -> PyResult<()> {
        let Some(slot) = &self.slot else {
            return Ok(());
        };
        let cover = Cover::new(
            self.cancel.clone_ref(py),
            self.job.clone_ref(py).into_any(),
            None,
        );
        match &self.errand {
            Some(errand) => errand.enter_cover(&cover),
            None => slot.enter_cover(&cover),
        }
        self.entered.lock().push(cover);
        // What was sent before arrives now, and not in the block.
        if slot.may_have_pending(py)
            && let Err(error) = pending::land(py)
        {
            self.leave(py, slot, None);
            return Err(error);
        }
        Ok(())
    }

    /// Leave the block: a function that runs is waited for, and the kill that asked for it is raised.
    #[pyo3(signature = (_kind = None, exception = None, _traceback = None))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: Option<&Bound<'_, PyAny>>,
        exception: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let Some(slot) = &self.slot else {
            return Ok(());
        };
        match self.leave(py, slot, exception) {
            None => Ok(()),
            Some(kill) => Err(PyErr::from_value(kill.into_any())),
        }
    }
}

impl OnKill {
    /// What is to be raised there, chained to what left the block.
    fn leave<'py>(
        &self,
        py: Python<'py>,
        slot: &Arc<Slot>,
        exception: Option<&Bound<'py, PyAny>>,
    ) -> Option<Bound<'py, PyBaseException>> {
        let cover = self.entered.lock().pop()?;
        if !self.job.get().house.is_here() {
            // The child of a fork, where nobody calls its function, and nobody kills it.
            std::mem::forget(cover);
            return None;
        }
        cover.leave();
        let class = match &self.errand {
            Some(errand) => errand.leave_cover(py, slot, &cover),
            None => slot.leave_cover(py, &cover),
        };
        let (still_runs, error) = cover.outcome(py);
        let kill = class.map(|class| instance_of(class.bind(py)));
        let raised = match (&kill, exception) {
            (Some(kill), _) => Some(kill.clone()),
            (None, Some(exception)) => exception.cast::<PyBaseException>().ok().cloned(),
            (None, None) => None,
        };
        if let Some(raised) = &raised {
            self.add_note(raised, still_runs, error);
        }
        if let (Some(kill), Some(exception)) = (&kill, exception)
            && !exception.is_none()
            && !exception.is(kill)
        {
            // Cannot fail: both are exceptions.
            let _ = kill.setattr(name!(py, "__context__"), exception);
        }
        kill
    }

    /// Say what became of a function that was of no use.
    fn add_note(
        &self,
        raised: &Bound<'_, PyBaseException>,
        still_runs: bool,
        error: Option<Py<PyAny>>,
    ) {
        let py = raised.py();
        let what = match (still_runs, error) {
            (true, _) => "has not returned within a second".to_owned(),
            (false, Some(error)) => match error.bind(py).repr() {
                Ok(text) => format!("raised {}", text.to_string_lossy()),
                Err(_) => "raised an exception".to_owned(),
            },
            (false, None) => return,
        };
        let function = match self.cancel.bind(py).repr() {
            Ok(text) => text.to_string_lossy().into_owned(),
            Err(_) => "a function".to_owned(),
        };
        let note = format!("on_kill: {function} {what}");
        // A note is no more than that.
        let _ = raised.call_method1(name!(py, "add_note"), (note,));
    }
}

#[pymethods]
impl Job {
    /// In the job: `with current_job().on_kill(connection.cancel): ...` is a block that a kill ends by calling the function, for calls
    /// that a kill cannot end by itself: a query, a request, code of an extension that looks at a flag.
    ///
    /// `fn` is called without arguments, once, on a thread of its own, and for a kill, `stop()`, a time-out and the end of the
    /// program alike. It makes the call in the block return or raise; no exception is sent into the block meanwhile. Where the block
    /// ends, `JobKilled` (`JobTimeout`) is raised, with what left the block as its `__context__`. A function that runs is waited for
    /// there, so a late cancel cannot hit the next query of the connection; one that has not begun is not called. Where it raises, or
    /// the block goes on for a second nevertheless, the job is struck as without it. What it prints goes to the job's output, and so
    /// does the traceback of what it raises. Blocks nest: of all that the job is in, the functions are called, the innermost first. Inside
    /// `shield()` the kill waits, and nothing is called.
    ///
    /// A coroutine job may `await` in the block. In a thread that the job started the block is that thread's: a kill goes there as
    /// well. Costs a microsecond or two where no kill comes. Raises `TypeError` for what cannot be called, and for a coroutine function; `RuntimeError` in any other place
    /// than the job.
    #[pyo3(signature = (r#fn, /))]
    fn on_kill(me: &Bound<'_, Self>, r#fn: &Bound<'_, PyAny>) -> PyResult<OnKill> {
        Self::must_be_inside(me, "on_kill(...)")?;
        let title = || me.get().title(me.py());
        if !r#fn.is_callable() {
            return Err(PyTypeError::new_err(format!(
                "on_kill() of {} needs a function that ends what is in the block, such as connection.cancel; got {}",
                title(),
                r#fn.repr()?
            )));
        }
        if is_coroutine_function(r#fn) {
            return Err(PyTypeError::new_err(format!(
                "on_kill() of {} needs a plain function, which is called on a thread of its own; {} is a coroutine function: pass one \
                 that calls asyncio.run_coroutine_threadsafe",
                title(),
                r#fn.repr()?
            )));
        }
        let slot = current::any_slot();
        // In a thread that a coroutine job started it is that thread's own.
        let errand = me.get().errand().filter(|_| current::my_slot().is_some());
        Ok(OnKill {
            job: me.clone().unbind(),
            cancel: r#fn.clone().unbind(),
            slot,
            errand,
            entered: crate::core::sync::Mutex::default(),
        })
    }
}

/// Have the functions of `covers` called, in this order, each on a thread of its own. Does not wait.
pub(crate) fn call_all(covers: Vec<Arc<Cover>>) {
    let mut before: Option<Arc<Cover>> = None;
    for cover in covers {
        let previous = before.replace(Arc::clone(&cover));
        let thread = thread::Builder::new().name("rjobs-on-kill".into());
        let its = Arc::clone(&cover);
        let act = move || {
            if let Some(previous) = &previous {
                previous.wait(TURN);
            }
            call_one(its, previous);
        };
        if has_memory_for_thread(STACK_SIZE)
            .and_then(|()| thread.spawn(act))
            .is_err()
        {
            // It helps nobody: strikes go through at the next look.
            cover.give_up();
        }
    }
}

fn call_one(cover: Arc<Cover>, previous: Option<Arc<Cover>>) {
    let Some(visit) = visits::enter() else {
        // What these hold is the interpreter's, which is about to go.
        std::mem::forget((cover, previous));
        return;
    };
    Python::try_attach(|py| {
        // From here on the end of the interpreter does not wait for this thread: as for a worker in a job, all that runs Python code
        // goes through `interrupt::call`.
        drop(visit);
        let may_begin = cover.begin();
        let error = may_begin.then(|| {
            let job = cover.job.bind(py).cast::<Job>().ok();
            HELPS.set(cover.job.as_ptr() as usize);
            // What it prints is the job's.
            current::adopt(job.map(|job| job.clone().unbind()));
            let args = (cover.cancel.bind(py), cover.job.bind(py)).into_pyobject(py);
            let call = args.and_then(|args| Ok((shim::CALL_ON_KILL.get(py)?, args)));
            let error = match call {
                Ok((run, args)) => {
                    let (Ok(error) | Err(error)) =
                        call::call(run, &args, None).map_err(pyo3::Bound::into_any);
                    Some(error.unbind()).filter(|error| !error.is_none(py))
                }
                Err(error) => Some(error.into_value(py).into_any()),
            };
            current::adopt(None);
            HELPS.set(0);
            error
        });
        cover.returned(error.flatten());
        fault::contained(py, || drop((cover, previous)));
    });
    #[cfg(not(Py_3_13))]
    if let Some(_visit) = visits::enter() {
        Python::try_attach(current::forget_this_thread);
    }
}

/// The job that runs on a worker's thread.
fn job_of(py: Python<'_>, house: &House, slot: &Arc<Slot>) -> Option<Py<PyAny>> {
    let members = house.members();
    let (_, here) = members.iter().find(|(its, _)| Arc::ptr_eq(its, slot))?;
    let job = here.lock().as_ref().map(|job| job.clone_ref(py));
    job.map(Py::into_any)
}

/// Where the job is in a call that a library can end: strikes wait for that from here on, as in a block.
pub(crate) fn cover_call(py: Python<'_>, house: &House, slot: &Arc<Slot>, job: u64) {
    let found = shim::FIND_CANCELLER.call(py, (slot.thread().ident,));
    let Some((cancel, frame)) = found
        .ok()
        .and_then(|found| found.extract::<(Py<PyAny>, Py<PyAny>)>().ok())
    else {
        return;
    };
    if let Some(its) = job_of(py, house, slot) {
        slot.cover_call(&Cover::new(cancel, its, Some(frame)), job);
    }
}

/// The same for a call without a frame of its own, when what was sent is under way: it is ended, and what was sent arrives.
pub(crate) fn help_out(py: Python<'_>, house: &House, slot: &Arc<Slot>, job: u64) {
    let thread = slot.thread();
    let found = shim::FIND_NATIVE_CANCELLER.call(py, (thread.ident, thread.native_id));
    let cancel = found.ok().filter(|cancel| !cancel.is_none());
    if let (Some(cancel), Some(its)) = (cancel, job_of(py, house, slot)) {
        slot.note_help(job);
        call_all(vec![Cover::new(cancel.unbind(), its, None)]);
    }
}

/// The functions of the covers that a kill of this job now waits for.
pub(crate) fn call_due(slot: &Slot, job: u64) {
    let due = slot.ask_covers(job);
    if !due.is_empty() {
        call_all(due);
    }
}
