//! All commands of this process: who may start, and what the thread is told that waits for them.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::reader::{Entry, LOOK, Reader};
use super::{Command, Ending, Owner, Wish};
use crate::core::roll::Roll;
use crate::core::sync::{Mutex, STACK_SIZE, has_memory_for_thread};
use crate::interrupt::process::{self, Failure, Order, Watch};
use crate::interrupt::thread::native_id;

/// The commands of this process.
#[derive(Debug)]
pub(crate) struct Room {
    pub(super) watch: Watch,
    pub(super) inside: Mutex<Inside>,
    next: AtomicU64,
    /// Where its thread is noted.
    roll: Arc<Roll>,
}

#[derive(Debug, Default)]
pub(super) struct Inside {
    has_thread: bool,
    /// Those who need the thread in a moment.
    arriving: usize,
    /// Commands that have ended, and whose output others hold open.
    pub(super) open: usize,
    /// The thread is to go when there is nothing to do.
    leaves: bool,
    running: usize,
    /// Those whose turn has not come.
    waiting: VecDeque<Task>,
    /// For the loop.
    pub(super) letters: Vec<Letter>,
}

/// A command that is to run.
pub(crate) struct Task {
    pub(crate) command: Arc<Command>,
    pub(crate) owner: Arc<dyn Owner>,
    pub(crate) order: Arc<Order>,
    pub(crate) timeout: Option<Duration>,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Task");
        shown.field("order", &self.order).finish_non_exhaustive()
    }
}

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Letter {
    /// A command runs.
    Started(Box<Entry>),
    /// The command of this number was asked to end.
    Asked(u64),
}

impl Room {
    pub(crate) fn new(roll: Arc<Roll>) -> io::Result<Self> {
        Ok(Self {
            roll,
            watch: Watch::new()?,
            inside: Mutex::default(),
            next: AtomicU64::new(1),
        })
    }

    /// A command that is to be admitted.
    pub(crate) fn command(&self) -> Arc<Command> {
        Arc::new(Command::new(self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// Start it now, or when its turn comes. An error says that it began and could not be started; then nobody else says so.
    pub(crate) fn admit(&'static self, task: Task) -> Result<(), Failure> {
        self.ensure_thread()?;
        {
            let mut inside = self.inside.lock();
            inside.arriving -= 1;
            if inside.running >= process::most_at_once() {
                inside.waiting.push_back(task);
                return Ok(());
            }
            inside.running += 1;
        }
        match self.start(task) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.one_left();
                Ok(())
            }
            Err((_, failure)) => {
                self.one_left();
                Err(failure)
            }
        }
    }

    /// Ask for its end. Does not wait.
    pub(crate) fn ask(&self, command: &Command, wish: Wish) {
        if command.ask(wish) {
            self.write(Letter::Asked(command.key));
        }
    }

    /// End it and all that it started, now.
    pub(crate) fn finish_off(&self, command: &Command) {
        self.ask(command, Wish::Kill);
        command.finish_off();
    }

    /// See to it that the thread is there, and stays for one more.
    fn ensure_thread(&'static self) -> io::Result<()> {
        {
            let mut inside = self.inside.lock();
            inside.arriving += 1;
            inside.leaves = false;
            if std::mem::replace(&mut inside.has_thread, true) {
                return Ok(());
            }
        }
        self.roll.expect();
        let (thread, mut all) = (thread::Builder::new(), Reader::new(self));
        let thread = thread.name("rjobs-commands".into());
        let run = move || {
            self.roll.is_here(native_id());
            super::through_panics(LOOK, || all.run());
        };
        let started = has_memory_for_thread(STACK_SIZE).and_then(|()| thread.spawn(run));
        if started.is_err() {
            self.roll.did_not_come();
            let mut inside = self.inside.lock();
            inside.has_thread = false;
            inside.arriving -= 1;
        }
        started.map(drop)
    }

    /// Have the thread go; false where it has something to do, and stays.
    pub(crate) fn let_go(&self) -> bool {
        {
            let mut inside = self.inside.lock();
            if inside.is_needed() {
                return false;
            }
            if !inside.has_thread {
                return true;
            }
            inside.leaves = true;
        }
        self.watch.notify();
        true
    }

    /// For the thread: whether it goes, as it was asked to.
    pub(super) fn goes(&self) -> bool {
        let mut inside = self.inside.lock();
        let goes = inside.leaves && !inside.is_needed();
        if goes {
            (inside.has_thread, inside.leaves) = (false, false);
        }
        goes
    }

    /// False when it is not wanted any more.
    fn start(&self, task: Task) -> Result<bool, (Task, Failure)> {
        if !task.owner.begins() {
            return Ok(false);
        }
        let (leader, output) = match process::spawn(&task.order) {
            Ok(started) => started,
            Err(failure) => return Err((task, failure)),
        };
        task.command.started(leader);
        self.write(Letter::Started(Box::new(Entry::new(task, output))));
        Ok(true)
    }

    /// One has ended: who waits longest is next.
    pub(super) fn one_left(&self) {
        loop {
            let next = {
                let mut inside = self.inside.lock();
                let next = inside.waiting.pop_front();
                if next.is_none() {
                    inside.running -= 1;
                }
                next
            };
            let Some(task) = next else { return };
            match self.start(task) {
                Ok(true) => return,
                Ok(false) => {}
                Err((task, failure)) => task.owner.ended(Ending::Failed(failure)),
            }
        }
    }

    fn write(&self, letter: Letter) {
        let is_first = {
            let mut inside = self.inside.lock();
            inside.letters.push(letter);
            inside.letters.len() == 1
        };
        if is_first {
            self.watch.notify();
        }
    }
}

impl Inside {
    /// Whether there is or comes something to do for the thread.
    fn is_needed(&self) -> bool {
        self.arriving + self.running + self.open > 0
            || !self.waiting.is_empty()
            || !self.letters.is_empty()
    }
}
