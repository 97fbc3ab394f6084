//! The thread that waits for all commands of this process, and who may start.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Command, Ending, Owner, Wish};
use crate::interrupt::process::{self, Exit, Failure, Happened, Order, Output, Piece, Watch};

/// Bytes that are read at a time, and at most of one command in a row when it has exited: more than a pipe holds.
const READ: usize = 64 * 1024;
const LAST: usize = 1024 * 1024;

/// How often is looked at all of them, should the system not let us wait any more (somebody closed all descriptors).
const LOOK: Duration = Duration::from_millis(20);

/// The commands of this process.
#[derive(Debug)]
pub(crate) struct Room {
    watch: Watch,
    inside: Mutex<Inside>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Inside {
    has_thread: bool,
    running: usize,
    /// Those whose turn has not come.
    waiting: VecDeque<Task>,
    /// For the loop.
    letters: Vec<Letter>,
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

#[derive(Debug)]
enum Letter {
    Started(Box<Entry>),
    /// The command of this number was asked to end.
    Asked(u64),
}

/// What the loop knows of a command that runs, or whose output others hold open.
#[derive(Debug)]
struct Entry {
    task: Task,
    output: Option<Output>,
    exit: Option<Exit>,
    timers: Vec<Timer>,
    has_ended: bool,
}

type Timer = (Instant, u64, Due);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// `timeout=` is over.
    TimeOut,
    /// Who was asked to end has had its time.
    Grace,
}

impl Room {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
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

    fn ensure_thread(&'static self) -> io::Result<()> {
        if std::mem::replace(&mut self.inside.lock().has_thread, true) {
            return Ok(());
        }
        let (thread, mut all) = (thread::Builder::new(), Loop::new(self));
        let thread = thread.name("rjobs-commands".into());
        let started = thread.spawn(move || super::through_panics(LOOK, || all.run()));
        if started.is_err() {
            self.inside.lock().has_thread = false;
        }
        started.map(drop)
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
        self.write(Letter::Started(Box::new(Entry {
            task,
            output: Some(output),
            exit: None,
            timers: Vec::new(),
            has_ended: false,
        })));
        Ok(true)
    }

    /// One has ended: who waits longest is next.
    fn one_left(&self) {
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

struct Loop {
    room: &'static Room,
    entries: HashMap<u64, Entry>,
    timers: BTreeSet<Timer>,
    buffer: Vec<u8>,
}

impl Loop {
    fn new(room: &'static Room) -> Self {
        Self {
            room,
            entries: HashMap::new(),
            timers: BTreeSet::new(),
            buffer: vec![0; READ],
        }
    }

    fn run(&mut self) {
        let mut happened = Vec::new();
        loop {
            let first = self.timers.first();
            let timeout = first.map(|first| first.0.saturating_duration_since(Instant::now()));
            if self.room.watch.wait(&mut happened, timeout).is_err() {
                thread::sleep(LOOK);
                let all = self.entries.keys();
                happened.extend(all.flat_map(|key| [Happened::Output(*key), Happened::Exit(*key)]));
            }
            let letters = take(&mut self.room.inside.lock().letters);
            for letter in letters {
                match letter {
                    Letter::Started(entry) => self.take_in(*entry),
                    Letter::Asked(key) => self.set_grace(key),
                }
            }
            for what in happened.drain(..) {
                match what {
                    Happened::Output(key) => self.read(key),
                    Happened::Exit(key) => self.settle(key),
                }
            }
            self.fire();
        }
    }

    fn take_in(&mut self, mut entry: Entry) {
        let (watch, command) = (&self.room.watch, Arc::clone(&entry.task.command));
        let key = command.key;
        let is_watched = match (&mut entry.output, &command.life.lock().phase) {
            (Some(output), super::Phase::Live(leader)) => watch
                .watch_output(key, output)
                .and_then(|()| watch.watch_exit(key, leader)),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let timeout = entry.task.timeout;
        self.entries.insert(key, entry);
        if let Ok(exit) = is_watched {
            self.change(key, |entry| entry.exit = Some(exit));
        } else {
            // Neither a descriptor nor a thread is left for it: it cannot be had.
            command.ask(Wish::Kill);
            command.finish_off();
            self.set_timer(key, Instant::now() + LOOK, Due::Grace);
        }
        // More than the clock can count is no limit.
        if let Some(when) = timeout.and_then(|timeout| Instant::now().checked_add(timeout)) {
            self.set_timer(key, when, Due::TimeOut);
        }
        // Asked before it was known here.
        self.set_grace(key);
    }

    fn change(&mut self, key: u64, change: impl FnOnce(&mut Entry)) {
        self.entries.get_mut(&key).map(change);
    }

    fn set_timer(&mut self, key: u64, when: Instant, due: Due) {
        let timer = (when, key, due);
        if let Some(entry) = self.entries.get_mut(&key)
            && !entry.has_ended
        {
            entry.timers.push(timer);
            self.timers.insert(timer);
        }
    }

    fn set_grace(&mut self, key: u64) {
        let command = self.entries.get(&key).map(|entry| &entry.task.command);
        if let Some(deadline) = command.and_then(|command| command.deadline()) {
            self.set_timer(key, deadline, Due::Grace);
        }
    }

    fn fire(&mut self) {
        while let Some((when, key, due)) = self.timers.first().copied() {
            if when > Instant::now() {
                return;
            }
            self.timers.pop_first();
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            entry.timers.retain(|timer| *timer != (when, key, due));
            match due {
                Due::TimeOut => {
                    entry.task.command.ask(Wish::TimeOut);
                    self.set_grace(key);
                }
                Due::Grace => {
                    let is_watched = entry.exit.is_some();
                    entry.task.command.finish_off();
                    self.end(key);
                    if !is_watched {
                        self.set_timer(key, Instant::now() + LOOK, Due::Grace);
                    }
                }
            }
        }
    }

    fn read(&mut self, key: u64) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        let Some(output) = &mut entry.output else {
            return;
        };
        match output.read(&mut self.buffer) {
            Piece::Bytes(length) => entry.task.owner.wrote(&self.buffer[..length]),
            Piece::Nothing => {}
            Piece::End => {
                if let Some(output) = entry.output.take() {
                    self.room.watch.forget_output(output);
                }
                self.settle(key);
            }
        }
    }

    /// End it, if nothing more is to be waited for; forget it, if nobody can write any more.
    fn settle(&mut self, key: u64) {
        let Some(entry) = self.entries.get(&key) else {
            return;
        };
        if entry.has_ended {
            if entry.output.is_none() {
                self.entries.remove(&key);
            }
            return;
        }
        // Others that are to end, too, and have some time left.
        let deadline = entry.task.command.deadline();
        let is_used = deadline.is_some_and(|deadline| deadline > Instant::now());
        if entry.task.command.has_exited() && !(is_used && entry.output.is_some()) {
            self.end(key);
        }
    }

    /// Its process has exited: read what is left, reap it, say so. Nothing, where it has not.
    fn end(&mut self, key: u64) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        let command = Arc::clone(&entry.task.command);
        if entry.has_ended || !command.has_exited() {
            return;
        }
        if command.is_to_end() {
            command.finish_off();
        }
        let mut left = LAST;
        while let (1.., Some(output)) = (left, &mut entry.output) {
            match output.read_last(&mut self.buffer) {
                Piece::Bytes(length) => {
                    left = left.saturating_sub(length);
                    entry.task.owner.wrote(&self.buffer[..length]);
                }
                Piece::Nothing => break,
                Piece::End => {
                    if let Some(output) = entry.output.take() {
                        self.room.watch.forget_output(output);
                    }
                }
            }
        }
        if let Some(exit) = entry.exit.take() {
            self.room.watch.forget_exit(exit);
        }
        let Some((status, wish)) = command.reap() else {
            return;
        };
        entry.has_ended = true;
        for timer in take(&mut entry.timers) {
            self.timers.remove(&timer);
        }
        Arc::clone(&entry.task.owner).ended(Ending::Exited(status, wish));
        if entry.output.is_none() {
            self.entries.remove(&key);
        }
        self.room.one_left();
    }
}
