//! One coroutine job on its manager's event loop, as those see it who end it: what was asked for, and how far that came.
//!
//! A job on a worker has its thread for itself. Here the thread is everybody's, so an end is asked for in two ways. Between the
//! steps of the job its task is cancelled, on the loop (`hear`). Within a step, when that blocks or computes and so keeps the
//! loop from cancelling anything, the step is struck (`chase.rs`), and what has not arrived when it is over is taken back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use super::chase::Chase;
use super::house::House;
use super::job::Job;
use super::shim;
use crate::core::timers::Key;
use crate::interrupt::call;
use crate::interrupt::slot::Slot;
use crate::interrupt::steps::Struck;
use crate::interrupt::thread;

/// From the launch of a coroutine job to its end.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) house: Arc<House>,
    pub(crate) aim: u64,
    /// The thread of the loop, once that has taken the job in.
    slot: OnceLock<Arc<Slot>>,
    /// An end was asked for, or the job raised one itself.
    struck: AtomicBool,
    /// What runs now is a step of the job's own coroutine, and not of what that started.
    in_main: AtomicBool,
    asks: Mutex<Asks>,
    parts: Mutex<Parts>,
}

/// Asking for the end.
#[derive(Debug)]
struct Asks {
    /// What was asked for last.
    class: Option<Py<PyType>>,
    /// How often it was asked, and how much of that has come to the job.
    made: u32,
    heard: u32,
    /// When the last of these was.
    since: Instant,
    /// Each further step of the job raises.
    insists: bool,
    /// `shield` blocks that the job is in; and whether something came meanwhile.
    shields: u32,
    deferred: bool,
    is_chased: bool,
    is_over: bool,
    /// Of `timeout=`, among the timers.
    deadline: Option<Key>,
}

/// The Python objects of the run. All go at its end.
#[derive(Debug, Default)]
struct Parts {
    job: Option<Py<Job>>,
    task: Option<Py<PyAny>>,
    /// What the task steps through, for `stack`.
    coroutine: Option<Py<PyAny>>,
    /// The tasks that the job started and that have not ended, by the address of their steps.
    tasks: HashMap<usize, Py<PyAny>>,
    /// A `WeakSet` of the asynchronous generators that it began.
    generators: Option<Py<PyAny>>,
    /// What ends the whole job, though a task or a callback raised it: `SystemExit`, `KeyboardInterrupt`.
    doom: Option<Py<PyBaseException>>,
}

/// What a chaser sees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) is_heard: bool,
    pub(crate) is_shielded: bool,
    pub(crate) since: Instant,
}

impl Errand {
    pub(crate) fn new(job: &Bound<'_, Job>) -> Arc<Self> {
        Arc::new(Self {
            house: Arc::clone(&job.get().house),
            aim: job.get().record.aim(),
            slot: OnceLock::new(),
            struck: AtomicBool::new(false),
            in_main: AtomicBool::new(false),
            asks: Mutex::new(Asks {
                class: None,
                made: 0,
                heard: 0,
                since: Instant::now(),
                insists: false,
                shields: 0,
                deferred: false,
                is_chased: false,
                is_over: false,
                deadline: None,
            }),
            parts: Mutex::new(Parts {
                job: Some(job.clone().unbind()),
                ..Parts::default()
            }),
        })
    }

    /// Its loop has taken it in.
    pub(crate) fn moved_in(&self, slot: &Arc<Slot>) {
        let _ = self.slot.set(Arc::clone(slot));
    }

    /// Where it runs; None while no loop has taken it in.
    pub(crate) fn slot(&self) -> Option<&Arc<Slot>> {
        self.slot.get()
    }

    /// Whether the calling thread is the one of its loop.
    pub(crate) fn is_on_this_thread(&self) -> bool {
        self.slot()
            .is_some_and(|slot| slot.thread().ident == thread::ident())
    }

    pub(crate) fn job<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Job>> {
        let parts = self.parts.lock();
        parts.job.as_ref().map(|job| job.clone_ref(py).into_bound(py))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.asks.lock().is_over
    }

    pub(crate) fn is_struck(&self) -> bool {
        self.struck.load(Ordering::Acquire)
    }

    /// Its own coroutine is being stepped through, or not any more.
    pub(crate) fn set_in_main(&self, in_main: bool) {
        self.in_main.store(in_main, Ordering::Release);
    }

    pub(crate) fn set_task(&self, task: Py<PyAny>) {
        self.parts.lock().task = Some(task);
    }

    pub(crate) fn set_coroutine(&self, coroutine: Py<PyAny>) {
        let before = self.parts.lock().coroutine.replace(coroutine);
        drop(before);
    }

    pub(crate) fn coroutine(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let parts = self.parts.lock();
        parts.coroutine.as_ref().map(|it| it.clone_ref(py))
    }

    /// A task that the job started.
    pub(crate) fn add_task(&self, key: usize, task: Py<PyAny>) {
        let before = self.parts.lock().tasks.insert(key, task);
        drop(before);
    }

    pub(crate) fn remove_task(&self, key: usize) {
        let task = self.parts.lock().tasks.remove(&key);
        drop(task);
    }

    /// Tasks that have not ended.
    pub(crate) fn tasks(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let parts = self.parts.lock();
        parts.tasks.values().map(|task| task.clone_ref(py)).collect()
    }

    pub(crate) fn generators(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let parts = self.parts.lock();
        parts.generators.as_ref().map(|set| set.clone_ref(py))
    }

    pub(crate) fn set_generators(&self, set: Py<PyAny>) {
        let before = self.parts.lock().generators.replace(set);
        drop(before);
    }

    /// Whether it began anything that has to be ended when it ends.
    pub(crate) fn left_something(&self) -> bool {
        let parts = self.parts.lock();
        !parts.tasks.is_empty() || parts.generators.is_some()
    }

    /// When its time is over.
    pub(crate) fn set_deadline(&self, key: Key) {
        self.asks.lock().deadline = Some(key);
    }

    pub(crate) fn take_deadline(&self) -> Option<Key> {
        self.asks.lock().deadline.take()
    }

    /// The job ends with this exception, wherever in it that was raised.
    pub(crate) fn doom(&self, exception: &Bound<'_, PyBaseException>) {
        let py = exception.py();
        let task = {
            let mut parts = self.parts.lock();
            if parts.doom.is_none() {
                parts.doom = Some(exception.clone().unbind());
            }
            parts.task.as_ref().map(|task| task.clone_ref(py))
        };
        if let Some(task) = task {
            cancel(task.bind(py));
        }
    }

    pub(crate) fn take_doom(&self) -> Option<Py<PyBaseException>> {
        self.parts.lock().doom.take()
    }

    /// It has ended: nobody is to be cancelled or struck any more.
    pub(crate) fn end(&self) {
        let class = {
            let mut asks = self.asks.lock();
            asks.is_over = true;
            asks.class.take()
        };
        let parts = std::mem::take(&mut *self.parts.lock());
        drop((class, parts));
    }

    /// What was asked for last.
    pub(crate) fn asked(&self, py: Python<'_>) -> Option<Py<PyType>> {
        let asks = self.asks.lock();
        asks.class.as_ref().map(|class| class.clone_ref(py))
    }

    /// What each further step is to raise, when to be cancelled was of no use.
    pub(crate) fn insisted(&self, py: Python<'_>) -> Option<Py<PyType>> {
        let asks = self.asks.lock();
        let class = asks.class.as_ref().filter(|_| asks.insists && asks.shields == 0)?;
        Some(class.clone_ref(py))
    }

    /// Ask for its end: its loop cancels it, and from then on the timers see to it that it ends. Does not wait.
    pub(crate) fn ask(me: &Arc<Self>, class: &Bound<'_, PyType>) {
        let py = class.py();
        let (before, is_first) = {
            let mut asks = me.asks.lock();
            if asks.is_over {
                return;
            }
            let before = asks.class.replace(class.clone().unbind());
            asks.made += 1;
            asks.since = Instant::now();
            (before, !std::mem::replace(&mut asks.is_chased, true))
        };
        drop(before);
        me.struck.store(true, Ordering::Release);
        me.house.room.post(py, me);
        if is_first {
            Chase::begin(me);
        }
    }

    /// The same once more. `insists`: it was of no use so far.
    pub(crate) fn ask_again(me: &Arc<Self>, py: Python<'_>, insists: bool) {
        {
            let mut asks = me.asks.lock();
            asks.made += 1;
            asks.since = Instant::now();
            asks.insists |= insists;
        }
        me.house.room.post(py, me);
    }

    /// On the loop: cancel the task of the job, unless what was asked for has come to it already.
    pub(crate) fn hear(&self, py: Python<'_>) {
        {
            let mut asks = self.asks.lock();
            if asks.is_over || asks.heard == asks.made {
                return;
            }
            if asks.shields > 0 {
                asks.deferred = true;
                return;
            }
            asks.heard = asks.made;
            asks.since = Instant::now();
        }
        let task = {
            let parts = self.parts.lock();
            parts.task.as_ref().map(|task| task.clone_ref(py))
        };
        if let Some(task) = task {
            cancel(task.bind(py));
        }
    }

    /// A step has ended in which strikes did this.
    pub(crate) fn note(&self, struck: Struck) {
        if !struck.at_all {
            return;
        }
        self.struck.store(true, Ordering::Release);
        if struck.arrived {
            // To be cancelled as well would cut its `finally` short.
            let mut asks = self.asks.lock();
            asks.heard = asks.made;
            asks.since = Instant::now();
        }
    }

    /// None when it is over.
    pub(crate) fn view(&self) -> Option<View> {
        let asks = self.asks.lock();
        (!asks.is_over).then_some(View {
            is_heard: asks.heard == asks.made,
            is_shielded: asks.shields > 0,
            since: asks.since,
        })
    }

    /// Whether there is nothing to do for a chaser for as long as this: found without the interpreter.
    pub(crate) fn rests_for(&self, grace: Duration) -> Option<Duration> {
        let view = self.view()?;
        view.is_heard.then(|| grace.saturating_sub(view.since.elapsed()))
    }

    /// Ends wait from here on. In a step of the job.
    pub(crate) fn enter_shield(&self) {
        let is_first = {
            let mut asks = self.asks.lock();
            asks.shields += 1;
            asks.shields == 1
        };
        if let Some(slot) = self.slot().filter(|_| is_first) {
            slot.hold();
        }
    }

    /// The opposite. What waited is sent to the step that this is called in.
    pub(crate) fn leave_shield(&self, py: Python<'_>) {
        let (is_last, due) = {
            let mut asks = self.asks.lock();
            asks.shields = asks.shields.saturating_sub(1);
            let is_last = asks.shields == 0;
            let is_due = is_last && (std::mem::take(&mut asks.deferred) || asks.heard != asks.made);
            let class = asks.class.as_ref().filter(|_| is_due);
            (is_last, class.map(|class| class.clone_ref(py)))
        };
        let Some(slot) = self.slot().filter(|_| is_last) else {
            return;
        };
        slot.let_go(py);
        if let Some(class) = due {
            slot.strike(class.bind(py), self.aim);
        }
    }

    pub(crate) fn is_shielded(&self) -> bool {
        self.asks.lock().shields > 0
    }

    /// For the job itself, in one of its steps, that asked for its own end: whether raising is all there is to do.
    pub(crate) fn is_in_main(&self) -> bool {
        self.in_main.load(Ordering::Acquire)
    }

    /// Whether an exception is what the job was asked to end with.
    pub(crate) fn is_asked_for(&self, exception: &Bound<'_, PyBaseException>) -> bool {
        let py = exception.py();
        self.is_struck()
            && self
                .asked(py)
                .is_some_and(|asked| exception.get_type().is(asked.bind(py)))
    }
}

fn cancel(task: &Bound<'_, PyAny>) {
    let py = task.py();
    let cancelled = task
        .getattr(pyo3::intern!(py, "cancel"))
        .and_then(|cancel| {
            call::call(&cancel, &PyTuple::empty(py), None)
                .map_err(|error| PyErr::from_value(error.into_any()))
        });
    if let Err(error) = cancelled {
        error.write_unraisable(py, Some(task));
    }
}

/// What a kill raises in the place of the `CancelledError` that it came as: no trace of that is left but where it was.
pub(crate) fn in_place_of<'py>(
    cancelled: &Bound<'py, PyBaseException>,
    class: &Bound<'py, PyType>,
) -> Bound<'py, PyBaseException> {
    let py = cancelled.py();
    shim::IN_PLACE_OF
        .call(py, (class, cancelled))
        .and_then(|made| Ok(made.cast_into::<PyBaseException>()?))
        .unwrap_or_else(|error| error.into_value(py).into_bound(py))
}
