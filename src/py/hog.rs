//! Code that keeps the interpreter for long is said to, once, by a thread that needs none.
//!
//! While jobs of a manager run, a thread of its own looks every few seconds. It never attaches: it asks the timers' thread, which
//! does, for a sign. Where none has come for the set time, the interpreter was kept for as long; the job whose thread has been at work
//! all the while is named on stderr, by `write`, with no help of Python's. Nothing of Python's is read: whether a thread is at work the kernel tells.
//! With nothing to do there is no such thread; a job that begins reads one flag.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;

use super::alarm::Alarm;
use super::house::House;
use crate::core::clock;
use crate::core::timers::Timers;
use crate::interrupt::wake::is_at_work;

/// After how many milliseconds it is said; 0 for never.
static LIMIT: AtomicU64 = AtomicU64::new(20_000);

/// How often it is looked within that time.
const LOOKS: u32 = 4;

/// How often a thread has to be seen at work, and how far apart.
const SIGHTS: usize = 4;
const APART: Duration = Duration::from_millis(4);

/// Of one manager.
#[derive(Debug)]
pub(crate) struct Watch {
    timers: Timers<Weak<House>>,
    is_on: AtomicBool,
    is_stopped: AtomicBool,
    sign: Arc<Sign>,
}

/// What the timers' thread is asked for.
#[derive(Debug, Default)]
pub(crate) struct Sign {
    /// When it was asked for last; 0 for never.
    asked: AtomicU64,
    /// When it came last.
    came: AtomicU64,
    /// It was said that it does not come.
    is_told: AtomicBool,
}

impl Sign {
    /// By the timers' thread, attached.
    pub(crate) fn give(&self) {
        self.came.store(clock::now(), Ordering::Release);
    }
}

/// How long the interpreter may be kept.
fn limit() -> Option<Duration> {
    // Without the GIL nobody can keep it.
    let millis = if cfg!(Py_GIL_DISABLED) {
        0
    } else {
        LIMIT.load(Ordering::Relaxed)
    };
    (millis > 0).then(|| Duration::from_millis(millis))
}

/// After how many seconds it is said that a job keeps the interpreter; 0 for never. For jobs that begin from now on.
#[pyfunction]
#[pyo3(signature = (seconds, /))]
pub(crate) fn _set_hog_limit(seconds: f64) {
    set_limit(seconds);
}

fn set_limit(seconds: f64) {
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let millis = u64::try_from(time.as_millis()).unwrap_or(0);
    LIMIT.store(millis, Ordering::Relaxed);
}

/// What the environment says: `RJOBS_KEPT_WARNING`, in seconds; 0 or "None" for never. Once, while rjobs is imported.
pub(crate) fn read(py: Python<'_>) -> PyResult<()> {
    let value = py
        .import("os")?
        .getattr("environ")?
        .call_method1("get", ("RJOBS_KEPT_WARNING", ""))?;
    let text: String = value.extract()?;
    let seconds = match text.trim() {
        "" => return Ok(()),
        "None" => Some(0.0),
        number => number.parse().ok(),
    };
    if let Some(seconds) = seconds.filter(|seconds: &f64| *seconds >= 0.0 && seconds.is_finite()) {
        set_limit(seconds);
        return Ok(());
    }
    let message = format!(
        "RJOBS_KEPT_WARNING={text:?} is no number of seconds, and stands for 20: after so long it is said on stderr that a job keeps \
         the interpreter; 0 for never"
    );
    let message = std::ffi::CString::new(message).unwrap_or_default();
    PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &message, 1)
}

impl Watch {
    pub(crate) fn new(timers: Timers<Weak<House>>) -> Self {
        Self {
            timers,
            is_on: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            sign: Arc::default(),
        }
    }

    /// A job of the house has begun: its slot is open, so that who turns this off just now sees it, or is seen.
    #[inline]
    pub(crate) fn begin(&self, house: &Arc<House>) {
        if !self.is_on.load(Ordering::SeqCst) {
            self.turn_on(house);
        }
    }

    #[cold]
    fn turn_on(&self, house: &Arc<House>) {
        if let Some(limit) = limit()
            && !self.is_on.swap(true, Ordering::SeqCst)
            && !self.look_later(&Arc::downgrade(house), limit)
        {
            self.is_on.store(false, Ordering::SeqCst);
        }
    }

    /// False where the system has no thread for that: then nothing is said.
    fn look_later(&self, house: &Weak<House>, limit: Duration) -> bool {
        let when = Instant::now() + limit / LOOKS;
        let is_added = self.timers.add(when, Weak::clone(house)).is_ok();
        if self.is_stopped.load(Ordering::SeqCst) {
            drop(self.timers.clear());
        }
        is_added
    }

    /// No more from here on, so that the thread goes.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        drop(self.timers.clear());
    }
}

/// On the thread that looks, which is never attached.
pub(crate) fn look(house: Weak<House>) {
    let Some(alive) = house.upgrade() else {
        return;
    };
    let watch = &alive.watch;
    let is_busy = || alive.slots().iter().any(|slot| slot.job().is_some());
    let Some(limit) = limit() else {
        watch.is_on.store(false, Ordering::SeqCst);
        return;
    };
    if !is_busy() {
        // A job that begins now turns it on, or is seen here.
        watch.is_on.store(false, Ordering::SeqCst);
        if !is_busy() || watch.is_on.swap(true, Ordering::SeqCst) {
            return;
        }
    }
    let (sign, now) = (&watch.sign, clock::now());
    let asked = sign.asked.load(Ordering::Acquire);
    if asked == 0 || sign.came.load(Ordering::Acquire) >= asked {
        sign.is_told.store(false, Ordering::Relaxed);
        sign.asked.store(now, Ordering::Release);
        let ask = Alarm::Sign(Arc::clone(sign));
        if alive.timers.add(Instant::now(), ask).is_err() {
            sign.asked.store(0, Ordering::Release);
        }
    } else {
        let time = Duration::from_nanos(now.saturating_sub(asked));
        if time >= limit && !sign.is_told.swap(true, Ordering::Relaxed) {
            tell(&alive, time);
        }
    }
    if !watch.look_later(&house, limit) {
        watch.is_on.store(false, Ordering::SeqCst);
    }
}

/// Say which job keeps the interpreter, if one does.
fn tell(house: &House, time: Duration) {
    let is_at_work = |thread: u64| {
        (0..SIGHTS).all(|sight| {
            if sight > 0 {
                sleep(APART);
            }
            is_at_work(thread)
        })
    };
    // Code of the main thread's, which is no job.
    if is_at_work(std::process::id().into()) {
        return;
    }
    let numbers: Vec<String> = house
        .members()
        .iter()
        .filter(|(slot, _)| slot.job().is_some() && is_at_work(slot.thread().native_id))
        .filter_map(|(_, job)| {
            let job = job.lock();
            Some(job.as_ref()?.get().record.number().to_string())
        })
        .collect();
    // Seen only while nobody has had the interpreter.
    let sign = &house.watch.sign;
    if sign.came.load(Ordering::Acquire) >= sign.asked.load(Ordering::Acquire) {
        return;
    }
    let who = match numbers.as_slice() {
        [] => return,
        [one] => format!("job {one}"),
        several => format!("one of the jobs {}", several.join(", ")),
    };
    let seconds = time.as_secs_f64();
    let seconds = if seconds < 1.0 {
        format!("{seconds:.1}")
    } else {
        format!("{seconds:.0}")
    };
    let text = format!(
        "rjobs: {who} has kept the interpreter for {seconds} s: nothing else runs meanwhile, and no kill or time-out lands\n"
    );
    write_to_stderr(text.as_bytes());
}

/// In one piece, and not through Python, whose stream cannot be had.
fn write_to_stderr(text: &[u8]) {
    use std::io::Write;
    // Where there is no such stream nobody can be told.
    let _ = std::io::stderr().write_all(text);
}
