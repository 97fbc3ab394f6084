//! Where coroutine jobs run: one event loop for all of a manager's, on a thread of its own, started by the first of them and gone
//! when there was none for the idle time.
//!
//! `python/rjobs/_loop.py` has the loop itself. What comes from other threads (jobs, and asking for their end) is put into the
//! inbox here, and the loop is woken once for however much there is.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::call_method;
use super::errand::Errand;
use crate::core::clock::{self, Tick};
use crate::core::sync;
use crate::core::sync::Mutex;
use crate::interrupt::names::name;
use crate::interrupt::{call, thread};
use crate::py::{exit, held};

/// How old a reading of the processor clock may be, nanoseconds; as a worker's.
const CPU_READING: u64 = 1_000_000;

/// How much of what came is taken in at a time: a job takes some microseconds.
const AT_A_TIME: usize = 64;

/// The room of one manager.
#[derive(Debug)]
pub(crate) struct Room {
    desk: Mutex<Desk>,
    /// How many threads there are; the last but one may be on its way out.
    threads: sync::Mutex<usize>,
    one_left: sync::Condvar,
    pub(crate) idle_timeout: Duration,
    /// There are jobs inside.
    busy: AtomicBool,
    /// The ident of its thread.
    ident: AtomicU64,
    /// Whose step runs now.
    current: Mutex<Option<Arc<Errand>>>,
    /// The processor clock of the loop's thread as last read, and when.
    cpu: Mutex<(u64, Tick)>,
}

#[derive(Debug, Default)]
struct Desk {
    inbox: VecDeque<Item>,
    /// Jobs from their launch to their end.
    inside: HashMap<u64, Arc<Errand>>,
    /// Since when there is none.
    idle_since: Option<Instant>,
    has_thread: bool,
    /// The loop, once it is up.
    host: Option<Py<PyAny>>,
    /// It was woken, and has not looked into the inbox since.
    is_woken: bool,
    is_closed: bool,
}

/// What comes to the loop.
#[derive(Debug)]
pub(crate) enum Item {
    Job(Arc<Errand>),
    /// Its end was asked for.
    Ask(Arc<Errand>),
}

/// What a thread that brought something has to do.
enum Todo {
    Nothing,
    Wake(Py<PyAny>),
    Start,
}

impl Room {
    /// An empty one, without a thread.
    pub(crate) fn new(idle_timeout: Duration) -> Self {
        Self {
            desk: Mutex::new(Desk::default()),
            threads: sync::Mutex::new(0),
            one_left: sync::Condvar::new(),
            idle_timeout,
            busy: AtomicBool::new(false),
            ident: AtomicU64::new(0),
            current: Mutex::new(None),
            cpu: Mutex::new((0, 0)),
        }
    }

    /// A job comes in. True when the caller has to start the thread.
    pub(crate) fn take(&self, py: Python<'_>, errand: &Arc<Errand>) -> (bool, PyResult<()>) {
        let todo = {
            let mut desk = self.desk.lock();
            desk.inside.insert(errand.aim, Arc::clone(errand));
            desk.idle_since = None;
            self.busy.store(true, Ordering::Release);
            desk.put(py, Item::Job(Arc::clone(errand)))
        };
        match todo {
            Todo::Start => (true, Ok(())),
            Todo::Wake(host) => (false, wake(host.bind(py))),
            Todo::Nothing => (false, Ok(())),
        }
    }

    /// The end of a job that is inside is asked for.
    pub(crate) fn post(&self, py: Python<'_>, errand: &Arc<Errand>) {
        let todo = {
            let mut desk = self.desk.lock();
            if !desk.inside.contains_key(&errand.aim) {
                return;
            }
            desk.put(py, Item::Ask(Arc::clone(errand)))
        };
        if let Todo::Wake(host) = todo
            && let Err(error) = wake(host.bind(py))
        {
            error.write_unraisable(py, Some(host.bind(py)));
        }
    }

    /// The loop goes when it has no job any more.
    pub(crate) fn close(&self) {
        let is_there = {
            let mut desk = self.desk.lock();
            desk.is_closed = true;
            desk.host.is_some()
        };
        if !is_there || exit::is_ending() {
            return;
        }
        Python::try_attach(|py| {
            let host = {
                let desk = self.desk.lock();
                desk.host.as_ref().map(|host| host.clone_ref(py))
            };
            if let Some(host) = host
                && let Err(error) = wake(host.bind(py))
            {
                error.write_unraisable(py, Some(host.bind(py)));
            }
        });
    }

    /// There is a thread, which the caller starts.
    pub(crate) fn thread_comes(&self) {
        *self.threads.lock() += 1;
    }

    /// It has gone, or did not come.
    pub(crate) fn thread_goes(&self) {
        *self.threads.lock() -= 1;
        self.one_left.notify_all();
    }

    /// Block until there is no thread, or until the deadline; true when there is none. To be called when it is closed.
    pub(crate) fn wait_until_gone(&self, deadline: Option<Instant>) -> bool {
        let mut threads = self.threads.lock();
        while *threads > 0 {
            let (back, is_over) = self.one_left.wait_until(&self.threads, threads, deadline);
            threads = back;
            if is_over {
                break;
            }
        }
        *threads == 0
    }

    /// There is no loop, and will be none for what is inside: that comes back.
    pub(crate) fn give_up(&self) -> Vec<Arc<Errand>> {
        let (inbox, inside, host) = {
            let mut desk = self.desk.lock();
            desk.has_thread = false;
            desk.is_woken = false;
            self.busy.store(false, Ordering::Release);
            (
                std::mem::take(&mut desk.inbox),
                std::mem::take(&mut desk.inside),
                desk.host.take(),
            )
        };
        drop((inbox, host));
        inside.into_values().collect()
    }

    /// Whether the calling thread is the one of its loop.
    pub(crate) fn is_this_thread(&self) -> bool {
        self.ident.load(Ordering::Acquire) == ident()
    }

    /// The loop is up, on the calling thread.
    pub(crate) fn host_is_up(&self, host: Py<PyAny>) {
        self.ident.store(ident(), Ordering::Release);
        *self.cpu.lock() = (thread::cpu_time(), clock::now());
        let before = self.desk.lock().host.replace(host);
        drop(before);
    }

    /// What came, for the loop, the oldest first; and whether there is more, so that it looks again after its jobs had their turn.
    pub(crate) fn inbox(&self) -> (Vec<Item>, bool) {
        let mut desk = self.desk.lock();
        let count = desk.inbox.len().min(AT_A_TIME);
        let items = desk.inbox.drain(..count).collect();
        desk.is_woken = !desk.inbox.is_empty();
        (items, desk.is_woken)
    }

    /// A job has ended, or was ended before it began. On the loop.
    pub(crate) fn one_left(&self, py: Python<'_>, errand: &Arc<Errand>) {
        let (before, host) = {
            let mut desk = self.desk.lock();
            let before = desk.inside.remove(&errand.aim);
            let is_last = before.is_some() && desk.inside.is_empty();
            if is_last {
                desk.idle_since = Some(Instant::now());
            }
            let host = desk.host.as_ref().filter(|_| is_last);
            (before, host.map(|host| host.clone_ref(py)))
        };
        drop(before);
        let Some(host) = host else {
            if !exit::is_ending() {
                self.is_at_rest();
            }
            return;
        };
        let host = host.bind(py);
        if let Err(error) = call_method(host, name!(py, "rest"), ()) {
            error.write_unraisable(py, Some(host));
        }
        // Not before: what it calls may let go of the interpreter (asyncio's debug mode reads files), and the exit must not
        // come in between. When that has begun, the loop goes, and is at rest when it has: what it is in just now has the job's
        // objects, which are not to outlive the program.
        if !exit::is_ending() {
            self.is_at_rest();
        }
    }

    /// Before the interpreter ends: in its debug mode the loop would tell of calls that take long then.
    pub(crate) fn hush(&self, py: Python<'_>) {
        let host = {
            let desk = self.desk.lock();
            desk.host.as_ref().map(|host| host.clone_ref(py))
        };
        if let Some(host) = host {
            // What it may raise is Ctrl-C, and then something may be told.
            let _ = call_method(host.bind(py), name!(py, "hush"), ());
        }
    }

    /// The interpreter ends: the loop goes when it has no job any more, and the exit waits until then.
    pub(crate) fn end(&self, py: Python<'_>) {
        let host = {
            let mut desk = self.desk.lock();
            desk.is_closed = true;
            if desk.has_thread {
                self.busy.store(true, Ordering::Release);
            }
            // One that is not up yet goes as soon as it is.
            desk.host.as_ref().map(|host| host.clone_ref(py))
        };
        if let Some(host) = host
            && let Err(error) = wake(host.bind(py))
        {
            error.write_unraisable(py, Some(host.bind(py)));
        }
    }

    /// The exit need not wait for the loop, unless something has come.
    pub(super) fn is_at_rest(&self) {
        let desk = self.desk.lock();
        if desk.inside.is_empty() && desk.inbox.is_empty() {
            self.busy.store(false, Ordering::Release);
        }
    }

    /// How long the loop waits for another job before it goes; None while it has some.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let desk = self.desk.lock();
        if !desk.inside.is_empty() || !desk.inbox.is_empty() {
            return None;
        }
        if desk.is_closed {
            return Some(Duration::ZERO);
        }
        let idle = desk
            .idle_since
            .map_or(Duration::ZERO, |since| since.elapsed());
        Some(self.idle_timeout.saturating_sub(idle))
    }

    /// The loop goes, if nothing has come; from then on another one is started for what comes.
    pub(crate) fn may_go(&self) -> bool {
        let host = {
            let mut desk = self.desk.lock();
            if !desk.inside.is_empty() || !desk.inbox.is_empty() {
                return false;
            }
            desk.has_thread = false;
            desk.is_woken = false;
            self.ident.store(0, Ordering::Release);
            desk.host.take()
        };
        drop(host);
        true
    }

    /// For the exit of the interpreter: how many jobs there are, and one for the loop. 0 when that is at rest.
    pub(crate) fn how_busy(&self) -> usize {
        if !self.busy.load(Ordering::Acquire) {
            return 0;
        }
        self.desk.lock().inside.len() + 1
    }

    /// All that are inside.
    pub(crate) fn inside(&self) -> Vec<Arc<Errand>> {
        self.desk.lock().inside.values().cloned().collect()
    }

    /// Whose step runs now.
    pub(crate) fn current(&self) -> Option<Arc<Errand>> {
        self.current.lock().clone()
    }

    /// A step begins: the reading of the processor clock.
    pub(crate) fn step_begins(&self, errand: &Arc<Errand>) -> u64 {
        let before = self.current.lock().replace(Arc::clone(errand));
        drop(before);
        self.read_cpu()
    }

    /// It ends: the processor time it took, nanoseconds.
    pub(crate) fn step_ends(&self, began: u64) -> u64 {
        let before = self.current.lock().take();
        drop(before);
        self.read_cpu().saturating_sub(began)
    }

    /// As a worker reads it: what passed since a reading of a moment ago counts as used.
    fn read_cpu(&self) -> u64 {
        let now = clock::now();
        let mut last = self.cpu.lock();
        let since = now.saturating_sub(last.1);
        *last = if since > CPU_READING {
            (thread::cpu_time(), now)
        } else {
            (last.0 + since, now)
        };
        last.0
    }
}

impl Desk {
    fn put(&mut self, py: Python<'_>, item: Item) -> Todo {
        self.inbox.push_back(item);
        self.call(py)
    }

    fn call(&mut self, py: Python<'_>) -> Todo {
        if !self.has_thread {
            self.has_thread = true;
            return Todo::Start;
        }
        // One that is not up yet looks into the inbox when it is.
        match &self.host {
            Some(host) if !self.is_woken => {
                self.is_woken = true;
                Todo::Wake(host.clone_ref(py))
            }
            _ => Todo::Nothing,
        }
    }
}

#[allow(clippy::useless_conversion, reason = "32 bits on Windows")]
fn ident() -> u64 {
    thread::ident().into()
}

/// Wake a loop. Ctrl-C in the midst of that may leave it asleep, so then it is woken once more, and the interrupt passed on.
fn wake(host: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = host.py();
    let wake = host.getattr(name!(py, "wake"))?;
    // Held: a job that does this may be killed.
    held::undisturbed(py, || {
        let once = || call::call(&wake, &PyTuple::empty(py), None);
        let Err(error) = once() else { return Ok(()) };
        if error.as_any().is_instance_of::<PyException>() {
            // It has seen what came, and gone: nobody is asleep.
            return Ok(());
        }
        let _ = once();
        Err(PyErr::from_value(error.into_any()))
    })
}
