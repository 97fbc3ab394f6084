//! The thread that waits for all commands of this process, reads what they write, and tells of their ends.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::mem::take;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::room::{Letter, Room, Task};
use super::{Ending, Wish};
use crate::interrupt::process::{Exit, Happened, Output, Piece};

/// Bytes that are read at a time, and at most of one command in a row when it has exited: more than a pipe holds.
const READ: usize = 64 * 1024;
const LAST: usize = 1024 * 1024;

/// How often is looked at all of them, should the system not let us wait any more (somebody closed all descriptors).
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// What the loop knows of a command that runs, or whose output others hold open.
#[derive(Debug)]
pub(super) struct Entry {
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

impl Entry {
    /// A command that has just started.
    pub(super) fn new(task: Task, output: Output) -> Self {
        Self {
            task,
            output: Some(output),
            exit: None,
            timers: Vec::new(),
            has_ended: false,
        }
    }
}

/// What the thread knows.
pub(super) struct Reader {
    room: &'static Room,
    entries: HashMap<u64, Entry>,
    timers: BTreeSet<Timer>,
    buffer: Vec<u8>,
}

impl Reader {
    pub(super) fn new(room: &'static Room) -> Self {
        Self {
            room,
            entries: HashMap::new(),
            timers: BTreeSet::new(),
            buffer: vec![0; READ],
        }
    }

    /// Wait, read and tell, until it is let go.
    pub(super) fn run(&mut self) {
        let mut happened = Vec::new();
        // Not while somebody may still write: to what has ended, or its children.
        while !(self.entries.is_empty() && self.room.goes()) {
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
                self.room.inside.lock().open -= 1;
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
        } else {
            self.room.inside.lock().open += 1;
        }
        self.room.one_left();
    }
}
