//! Where external commands are told of that have ended: a thread of ours that has the interpreter for that moment only.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use pyo3::prelude::*;

use super::current;
use super::errand::Errand;
use super::errors::JobKilled;
use super::fault::{self, Place, may_happen};
use super::job::Job;
use crate::command::{Command, Ending, Room, Wish};
use crate::core::clock::Tick;
use crate::core::generations::{self, Generations};
use crate::core::roll::{self, Roll};
use crate::core::state::State;
use crate::core::sync::{Mutex, STACK_SIZE, has_memory_for_thread};
use crate::core::visits;
use crate::interrupt::thread::{is_there, native_id};

/// How long the exit waits for processes that were ended for good, and for who tells of it.
const LAST: Duration = Duration::from_millis(200);

/// The commands of this process, and the threads that end their jobs.
///
/// The thread that waits for commands never has the interpreter, so that their output is read whatever Python does.
#[derive(Debug)]
pub(crate) struct Desk {
    generation: u32,
    room: Room,
    tasks: (Sender<Task>, Receiver<Task>),
    /// Jobs that were handed over and have not ended.
    errands: Mutex<HashMap<usize, Py<Job>>>,
    /// Its threads, and the room's.
    roll: Arc<Roll>,
    clerks: Mutex<Clerks>,
}

#[derive(Debug, Default)]
struct Clerks {
    all: usize,
    /// Those in callbacks, which are anybody's code and may wait for anything: another command, for one.
    away: usize,
    /// Tasks that were sent and that no clerk has taken.
    waiting: usize,
    /// They go as soon as nothing waits; until the next command is handed over.
    may_go: bool,
}

#[derive(Debug)]
enum Task {
    End(Arc<Errand>, Ending, Tick),
    /// A job that nobody here needs any more.
    Drop(Py<Job>),
    /// A clerk looks whether it may go.
    Look,
}

/// One for each process of a chain of forks.
static DESKS: Generations<Desk> = Generations::new();

/// The desk of this process, made if there is none.
pub(super) fn here() -> io::Result<&'static Desk> {
    let generation = generations::current();
    DESKS.get_or_make(generation, || {
        let roll = Arc::new(Roll::new());
        Ok(Desk {
            generation,
            room: Room::new(Arc::clone(&roll))?,
            roll,
            tasks: unbounded(),
            errands: Mutex::default(),
            clerks: Mutex::default(),
        })
    })
}

/// The desk of this process, if it has run a command.
fn known() -> Option<&'static Desk> {
    DESKS.get(generations::current())
}

/// Ask for the end of a command. Does not wait.
pub(crate) fn ask(command: &Command, wish: Wish) {
    if let Some(desk) = known() {
        desk.room.ask(command, wish);
    }
}

impl Desk {
    pub(super) fn room(&'static self) -> &'static Room {
        &self.room
    }

    pub(super) fn note(&self, job: &Bound<'_, Job>) {
        let before = (self.errands.lock()).insert(job.as_ptr() as usize, job.clone().unbind());
        drop(before);
        self.clerks.lock().may_go = false;
    }

    pub(super) fn forget(&'static self, job: &Py<Job>) {
        let gone = self.errands.lock().remove(&(job.as_ptr() as usize));
        if let Some(gone) = gone {
            self.let_go(gone);
        }
    }

    /// Drop a job where the interpreter is.
    pub(super) fn let_go(&'static self, job: Py<Job>) {
        self.send(Task::Drop(job));
    }

    /// A command has ended: have its job ended.
    pub(super) fn ended(&'static self, errand: Arc<Errand>, ending: Ending, at: Tick) {
        self.send(Task::End(errand, ending, at));
    }

    fn send(&'static self, task: Task) {
        // First, so that no clerk goes meanwhile.
        self.clerks.lock().waiting += 1;
        // Cannot fail: the desk holds the receiver, too.
        let _ = self.tasks.0.send(task);
        self.ensure_clerk();
    }

    /// See to it that a clerk is there who is not away.
    fn ensure_clerk(&'static self) {
        {
            let mut clerks = self.clerks.lock();
            if clerks.all > clerks.away {
                return;
            }
            clerks.all += 1;
        }
        self.roll.expect();
        let thread = thread::Builder::new().name("rjobs-desk".into());
        let started =
            has_memory_for_thread(STACK_SIZE).and_then(|()| thread.spawn(move || self.serve()));
        if started.is_err() {
            // The next one who has something to tell tries again.
            self.clerks.lock().all -= 1;
            self.roll.did_not_come();
        }
    }

    fn serve(&'static self) {
        self.roll.is_here(native_id());
        current::is_our_thread();
        while !self.goes()
            && let Ok(task) = self.tasks.1.recv()
        {
            if !self.takes(&task) {
                continue;
            }
            let Some(visit) = visits::enter() else {
                // What it holds is the interpreter's, which is about to go.
                std::mem::forget(task);
                roll::is_lost();
                loop {
                    thread::park();
                }
            };
            Python::try_attach(|py| {
                fault::contained(py, || self.see_to(py, task));
                // One way in for all that wait.
                while self.is_here()
                    && let Ok(task) = self.tasks.1.try_recv()
                {
                    self.takes(&task);
                    fault::contained(py, || self.see_to(py, task));
                }
            });
            if !self.is_here() {
                // A callback forked, and this is the child, where it has returned as well: the rest is the parent's.
                return;
            }
            #[cfg(not(Py_3_13))]
            Python::try_attach(current::forget_this_thread);
            drop(visit);
            if self.leaves() {
                return;
            }
        }
    }

    /// False in the child of a fork.
    fn is_here(&self) -> bool {
        self.generation == generations::current()
    }

    /// Note that a clerk has it; false where there is nothing to do.
    fn takes(&self, task: &Task) -> bool {
        let is_real = !matches!(task, Task::Look);
        self.clerks.lock().waiting -= usize::from(is_real);
        is_real
    }

    /// Whether the clerks may go and nothing waits for one, so that this one goes. Not one of them is left behind by what another has
    /// taken: each looks by itself, before it waits.
    fn goes(&self) -> bool {
        let mut clerks = self.clerks.lock();
        let goes = clerks.may_go && clerks.waiting == 0;
        if goes {
            clerks.all -= 1;
        }
        goes
    }

    /// Whether others are here, so that this clerk may go.
    fn leaves(&self) -> bool {
        let mut clerks = self.clerks.lock();
        let leaves = clerks.all - clerks.away > 1;
        if leaves {
            clerks.all -= 1;
        }
        leaves
    }

    fn see_to(&'static self, py: Python<'_>, task: Task) {
        match task {
            Task::Drop(job) => drop(job.into_bound(py)),
            Task::Look => {}
            Task::End(errand, ending, at) => {
                let job = errand.job(py);
                let has_callbacks = {
                    let held = job.get().held.lock();
                    let extras = held.extras.as_ref();
                    extras.is_some_and(|extras| !extras.callbacks.is_empty())
                };
                if has_callbacks {
                    self.clerks.lock().away += 1;
                    self.ensure_clerk();
                }
                let end = || {
                    may_happen(Place::Desk);
                    errand.end(py, ending, at);
                };
                fault::or_fails(&job, end, |error| Job::end_by_fault(&job, error));
                if !self.is_here() {
                    std::mem::forget(errand);
                    return;
                }
                if has_callbacks {
                    self.clerks.lock().away -= 1;
                }
                self.forget(&job.unbind());
            }
        }
    }

    /// The jobs that were handed over and have not ended.
    fn jobs<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, Job>> {
        let errands = self.errands.lock();
        let jobs = errands.values().map(|job| job.bind(py).clone());
        jobs.collect()
    }
}

/// Cancel the commands that wait for their turn and end those that run: all that `is_meant`.
pub(crate) fn end_all(py: Python<'_>, is_meant: impl Fn(&Bound<'_, Job>) -> bool) {
    let class = py.get_type::<JobKilled>();
    for job in known().map(|desk| desk.jobs(py)).unwrap_or_default() {
        if is_meant(&job) && !Job::end_queued(&job, State::Cancelled) {
            // It says nothing: this is not the job itself.
            let _ = Job::strike(&job, &class);
        }
    }
}

/// Nothing will be told any more: what was to be is dropped. At the end of the interpreter, when no clerk comes in any more.
pub(crate) fn let_go_of_all() {
    let Some(desk) = known() else { return };
    let tasks: Vec<_> = (desk.tasks.1.try_iter())
        .filter(|task| desk.takes(task))
        .collect();
    let errands = std::mem::take(&mut *desk.errands.lock());
    drop((tasks, errands));
}

/// How many commands have not ended.
pub(crate) fn how_busy() -> usize {
    known().map_or(0, |desk| desk.errands.lock().len())
}

/// Have the threads for commands go; false where they have something to do, and stay.
pub(crate) fn let_go() -> bool {
    let Some(desk) = known().filter(|_| how_busy() == 0) else {
        return false;
    };
    if !desk.room.let_go() {
        return false;
    }
    let clerks = {
        let mut clerks = desk.clerks.lock();
        clerks.may_go = true;
        clerks.all
    };
    for _ in 0..clerks {
        // Wakes those that wait. Cannot fail: the desk holds the receiver, too.
        let _ = desk.tasks.0.send(Task::Look);
    }
    true
}

/// Block until they have gone or are needed again, or until the deadline; true when they are not waited for any more.
pub(crate) fn wait_until_gone(deadline: Option<Instant>) -> bool {
    known().is_none_or(|desk| how_busy() > 0 || desk.roll.wait_until_gone(deadline, is_there))
}

/// The end: whatever is left is ended without being asked.
pub(crate) fn close(py: Python<'_>) {
    let Some(desk) = known() else { return };
    desk.roll.void();
    for job in desk.jobs(py) {
        if let Some(command) = job.get().command() {
            desk.room.finish_off(&command);
        }
    }
    let deadline = Instant::now() + LAST;
    // By looking, as the exit does for threads.
    while how_busy() > 0 && Instant::now() < deadline {
        py.detach(|| thread::sleep(Duration::from_millis(1)));
    }
}
