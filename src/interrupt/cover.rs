//! Blocks that a kill ends by a function of the job's own, and not by a strike: `job.on_kill(cancel)`.
//!
//! Inside such a *cover* a strike waits, as in a shield; but the function is called at once, on a thread of its own, and what waits is
//! raised where the block ends. One whose function has not brought that about within a second is *lifted*: what waits is sent.
//!
//! A function that has begun is waited for where its block ends, so that it cannot end what comes after that; one that has not begun
//! by then is not called.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyType;

use super::call;
use super::frames::Frames;
use super::slot::{Aim, Slot};
use crate::core::sync::{Condvar, Mutex};

/// How long the function of a cover has to end its block, before the job is struck in there.
pub(crate) const HELP_TIME: Duration = Duration::from_secs(1);

/// One block.
#[derive(Debug)]
pub(crate) struct Cover {
    /// What ends it; called without arguments.
    pub(crate) cancel: Py<PyAny>,
    /// Whose block it is.
    pub(crate) job: Py<PyAny>,
    /// Where it is no block, but a call of a library: the frame in which that waits.
    frame: Option<Py<PyAny>>,
    /// Strikes go through it.
    is_lifted: AtomicBool,
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Stage {
    /// When a kill asked for its function; None: none has.
    asked: Option<Instant>,
    /// What became of its function.
    call: Call,
    /// The block has been left, or is being left.
    is_over: bool,
}

#[derive(Debug, Default)]
enum Call {
    #[default]
    Unbegun,
    Runs,
    Returned,
    Raised(Py<PyAny>),
    /// There is no thread to call it on.
    Impossible,
}

impl Stage {
    fn is_done(&self) -> bool {
        !matches!(self.call, Call::Unbegun | Call::Runs)
    }
}

impl Cover {
    pub(crate) fn new(cancel: Py<PyAny>, job: Py<PyAny>, frame: Option<Py<PyAny>>) -> Arc<Self> {
        Arc::new(Self {
            cancel,
            job,
            frame,
            is_lifted: AtomicBool::new(false),
            stage: Mutex::new(Stage::default()),
            changed: Condvar::new(),
        })
    }

    pub(crate) fn is_lifted(&self) -> bool {
        self.is_lifted.load(Ordering::Acquire)
    }

    pub(crate) fn lift(&self) {
        self.is_lifted.store(true, Ordering::Release);
    }

    /// A kill asks for its function: true for the first.
    pub(crate) fn ask(&self) -> bool {
        let mut stage = self.stage.lock();
        let is_first = stage.asked.is_none() && !stage.is_over;
        if is_first {
            stage.asked = Some(Instant::now());
        }
        is_first
    }

    /// How much longer strikes wait for it; None where no kill has asked for its function.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let stage = self.stage.lock();
        if matches!(stage.call, Call::Raised(_) | Call::Impossible) {
            return Some(Duration::ZERO);
        }
        stage
            .asked
            .map(|asked| HELP_TIME.saturating_sub(asked.elapsed()))
    }

    /// Its function begins, on the thread that calls it. False where it must not: the block has been left.
    pub(crate) fn begin(&self) -> bool {
        let mut stage = self.stage.lock();
        if !stage.is_over {
            stage.call = Call::Runs;
        }
        !stage.is_over
    }

    /// Its function has returned, or raised this.
    pub(crate) fn returned(&self, error: Option<Py<PyAny>>) {
        let mut stage = self.stage.lock();
        // One that was not to begin has not.
        if matches!(stage.call, Call::Runs) {
            stage.call = error.map_or(Call::Returned, Call::Raised);
        }
        drop(stage);
        self.changed.notify_all();
    }

    /// There is no thread to call its function on.
    pub(crate) fn give_up(&self) {
        self.stage.lock().call = Call::Impossible;
    }

    /// Block until its function has returned, for so long. Detached.
    pub(crate) fn wait(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let mut stage = self.stage.lock();
        while !stage.is_done() && Instant::now() < deadline {
            (stage, _) = self.changed.wait_until(&self.stage, stage, Some(deadline));
        }
    }

    /// The block is being left: its function is called no more. Where it is at it, wait until it has returned, or its time is over.
    /// On the thread of the job, attached.
    pub(crate) fn leave(&self) {
        let deadline = {
            let mut stage = self.stage.lock();
            stage.is_over = true;
            let runs = matches!(stage.call, Call::Runs);
            stage.asked.filter(|_| runs).map(|asked| asked + HELP_TIME)
        };
        if let Some(deadline) = deadline {
            call::detached(|| self.wait(deadline.saturating_duration_since(Instant::now())));
        }
    }

    /// The call that it is around has returned; false while its function runs.
    fn is_left(&self) -> bool {
        let mut stage = self.stage.lock();
        let runs = matches!(stage.call, Call::Runs);
        stage.is_over |= !runs;
        !runs
    }

    /// What its function raised, once it was called and has returned; `None` within where nothing was. And whether it still runs.
    pub(crate) fn outcome(&self, py: Python<'_>) -> (bool, Option<Py<PyAny>>) {
        let stage = self.stage.lock();
        match &stage.call {
            Call::Raised(error) => (false, Some(error.clone_ref(py))),
            call => (matches!(call, Call::Runs), None),
        }
    }

    /// Whether its function was begun.
    pub(crate) fn was_called(&self) -> bool {
        let stage = self.stage.lock();
        matches!(stage.call, Call::Runs | Call::Returned | Call::Raised(_))
    }
}

impl Slot {
    /// The job of the calling thread enters a cover.
    pub(crate) fn enter_cover(&self, cover: &Arc<Cover>) {
        self.aim.lock().covers.push(Arc::clone(cover));
    }

    /// The opposite, on the same thread: what is to be raised there now, since it waited for that.
    pub(crate) fn leave_cover(&self, py: Python<'_>, cover: &Arc<Cover>) -> Option<Py<PyType>> {
        let mut aim = self.aim.lock();
        let place = aim.covers.iter().rposition(|it| Arc::ptr_eq(it, cover))?;
        let gone = aim.covers.remove(place);
        aim.was_helped |= gone.was_called();
        if aim.held > 0 || aim.job.is_none() {
            return None;
        }
        let waiting = aim.waiting.take()?;
        // As if it had been sent, and had landed: it is raised by the caller.
        aim.struck = true;
        let again = waiting.clone_ref(py);
        let before = if aim.striker.is_some() {
            aim.done.replace(again)
        } else {
            aim.sent.replace(again)
        };
        drop(aim);
        drop((before, gone));
        Some(waiting)
    }

    /// Whether something may have been sent that has not arrived. For the thread itself, attached.
    pub(crate) fn may_have_pending(&self, py: Python<'_>) -> bool {
        // SAFETY: the caller's own thread.
        let is_pending = unsafe { self.frames.has_pending(py) };
        is_pending != Some(false)
    }

    /// The end of a hold of `job`, where what waited for it is raised by the caller or asked for anew.
    pub(crate) fn let_go_of(&self, job: u64) {
        let mut aim = self.aim.lock();
        if aim.job != Some(job) {
            return;
        }
        aim.held = aim.held.saturating_sub(1);
        let waiting = if aim.held == 0 {
            aim.waiting.take()
        } else {
            None
        };
        drop(aim);
        drop(waiting);
    }

    /// The job is in a call that this ends; nothing of its thread waits for the end of that. False when it is over.
    pub(crate) fn cover_call(&self, cover: &Arc<Cover>, job: u64) -> bool {
        let mut aim = self.aim.lock();
        let is_it = aim.job == Some(job);
        if is_it {
            aim.covers.push(Arc::clone(cover));
        }
        is_it
    }

    /// A function that ends calls has been called for the job, where nothing waits for it.
    pub(crate) fn note_help(&self, job: u64) {
        let mut aim = self.aim.lock();
        aim.was_helped |= aim.job == Some(job);
    }

    /// What waited for a library's call that has returned meanwhile, and is to be sent: not while the job handles what came of it.
    pub(crate) fn leave_calls(&self, py: Python<'_>, job: u64) -> Option<Py<PyType>> {
        let calls: Vec<_> = {
            let aim = self.aim.lock();
            if aim.job != Some(job) {
                return None;
            }
            let calls = aim.covers.iter().filter(|cover| cover.frame.is_some());
            calls.cloned().collect()
        };
        if calls.is_empty() || Frames::handles_any(py, self.thread.ident) {
            return None;
        }
        let has_returned = |cover: &&Arc<Cover>| {
            let frame = cover.frame.as_ref().map(Py::as_ptr);
            // SAFETY: attached, and it runs the job, as was seen since.
            let is_in = frame.is_some_and(|frame| unsafe { self.frames.hold(py, frame) });
            !is_in && cover.is_left()
        };
        let left: Vec<_> = calls.iter().filter(has_returned).collect();
        let mut aim = self.aim.lock();
        if aim.job != Some(job) {
            return None;
        }
        for cover in left {
            aim.was_helped |= cover.was_called();
            aim.covers.retain(|it| !Arc::ptr_eq(it, cover));
        }
        if aim.held > 0 || aim.is_covered() {
            return None;
        }
        aim.waiting.take()
    }

    /// Whether strikes at the job wait for functions of covers, or for those to be called.
    pub(crate) fn is_covered(&self, job: u64) -> bool {
        let aim = self.aim.lock();
        aim.job == Some(job) && aim.is_covered()
    }

    /// The covers whose functions are to be called now, the innermost first: a strike waits, and for nothing but them.
    pub(crate) fn ask_covers(&self, job: u64) -> Vec<Arc<Cover>> {
        let aim = self.aim.lock();
        if aim.job != Some(job) || aim.held > 0 || aim.waiting.is_none() {
            return Vec::new();
        }
        let asked = aim.covers.iter().rev().filter(|cover| cover.ask());
        asked.cloned().collect()
    }

    /// What was put off for the place where the job was waits for its covers from here on.
    pub(super) fn let_covers_hear(&self, aim: &mut Aim) {
        if let Some(asked) = aim.asked.take() {
            aim.waiting.get_or_insert(asked);
            self.put_off.store(false, Ordering::Release);
        }
    }

    /// What waits for functions that have not helped in time, and is to be sent: their covers are lifted.
    pub(crate) fn lift_covers(&self, job: u64) -> Option<Py<PyType>> {
        let mut aim = self.aim.lock();
        if aim.job != Some(job) || aim.held > 0 || aim.waiting.is_none() {
            return None;
        }
        let is_late = |cover: &Arc<Cover>| cover.time_left() == Some(Duration::ZERO);
        if !aim.covers.iter().any(is_late) {
            return None;
        }
        for cover in &aim.covers {
            cover.lift();
        }
        aim.waiting.take()
    }

    /// When `lift_covers` may have something to do.
    pub(crate) fn help_time_left(&self) -> Option<Duration> {
        let aim = self.aim.lock();
        aim.waiting.as_ref()?;
        let covers = aim.covers.iter().filter(|cover| !cover.is_lifted());
        covers.filter_map(|cover| cover.time_left()).min()
    }
}
