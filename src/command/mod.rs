//! External commands: one thread waits for all of them, reads what they write, and ends those that are to end.
//!
//! It knows no Python, and asks the system through `interrupt::process` alone. What is told of here is told to an [`Owner`],
//! which is in the room `py`.
//!
//! # The life of a command
//!
//! *waiting* (for its turn: see `process::most_at_once`), *live*, *gone*. Its process is reaped by the loop alone and under the
//! command's lock, under which all signals are sent: so none can hit another process that got the same id.
//!
//! A command has ended when its process has exited, and what it wrote until then was read. Others may hold its output open (`sh
//! -c 'server &'`): then what they write goes on being read, so that they are not ended by a closed pipe.
//!
//! A kill sends SIGTERM to the process group, and SIGKILL after [`GRACE`], or as soon as nobody is left who could use it: the
//! process has exited and its output is closed. SIGKILL goes out while the process is not reaped, whose id is the group's.

mod reader;
mod room;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use self::room::{Room, Task};
use crate::core::sync::Mutex;
use crate::interrupt::process::{Failure, Leader, Status};

/// How long those who are asked to end have for it; the same that the `finally` blocks of a killed Python job have.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

/// Who wants to know of a command. Called on the loop's thread, which must not wait for anything in there.
pub(crate) trait Owner: Send + Sync {
    /// It is about to start; false when it is not wanted any more.
    fn begins(&self) -> bool;
    /// It wrote something; also after its end, where another process holds its output open.
    fn wrote(&self, bytes: &[u8]);
    /// It has ended, or could not be started when its turn came.
    fn ended(self: Arc<Self>, ending: Ending);
}

/// How a command ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It ran.
    Exited(Status, Wish),
    /// It was not started.
    Failed(Failure),
}

/// What was asked of a running command, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    /// To go on.
    None,
    /// To end when it likes to.
    Stop,
    /// To end.
    Kill,
    /// To end, since its time is over.
    TimeOut,
}

/// A command, for those who end it.
#[derive(Debug)]
pub(crate) struct Command {
    key: u64,
    life: Mutex<Life>,
}

#[derive(Debug)]
struct Life {
    phase: Phase,
    wish: Wish,
    /// When it was first asked to end.
    asked: Option<Instant>,
    pid: Option<u32>,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    Live(Leader),
    Gone,
}

impl Command {
    const fn new(key: u64) -> Self {
        Self {
            key,
            life: Mutex::new(Life {
                phase: Phase::Waiting,
                wish: Wish::None,
                asked: None,
                pid: None,
            }),
        }
    }

    /// The id of its process, from its start on.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.life.lock().pid
    }

    /// Whether it is to end, and has not yet.
    pub(crate) fn is_to_end(&self) -> bool {
        let life = self.life.lock();
        life.wish >= Wish::Kill && !matches!(life.phase, Phase::Gone)
    }

    /// Its process runs. What was asked meanwhile is asked of it now.
    fn started(&self, leader: Leader) {
        let mut life = self.life.lock();
        life.pid = Some(leader.pid());
        life.phase = Phase::Live(leader);
        life.tell();
    }

    /// Ask for its end. False when it is ending by itself, or was asked for as much already.
    fn ask(&self, wish: Wish) -> bool {
        let mut life = self.life.lock();
        let is_ending = match &life.phase {
            Phase::Waiting => false,
            Phase::Live(leader) => leader.has_exited(),
            Phase::Gone => true,
        };
        // The first kill is the one that counts.
        if is_ending || life.wish >= wish || life.wish >= Wish::Kill {
            return false;
        }
        life.wish = wish;
        life.asked.get_or_insert_with(Instant::now);
        life.tell();
        true
    }

    /// End whoever is left.
    fn finish_off(&self) {
        if let Phase::Live(leader) = &self.life.lock().phase {
            leader.kill();
        }
    }

    /// When its time to end by itself is over; None when it was not told to end.
    fn deadline(&self) -> Option<Instant> {
        let life = self.life.lock();
        let asked = life.asked.filter(|_| life.wish >= Wish::Kill)?;
        Some(asked + GRACE)
    }

    fn has_exited(&self) -> bool {
        match &self.life.lock().phase {
            Phase::Live(leader) => leader.has_exited(),
            Phase::Waiting => false,
            Phase::Gone => true,
        }
    }

    /// Let the system forget it; None where it has not exited.
    fn reap(&self) -> Option<(Status, Wish)> {
        let mut life = self.life.lock();
        let Phase::Live(leader) = &life.phase else {
            return None;
        };
        let status = leader.reap()?;
        life.phase = Phase::Gone;
        Some((status, life.wish))
    }
}

impl Life {
    fn tell(&self) {
        match (&self.phase, self.wish) {
            (Phase::Live(leader), Wish::Stop) => leader.ask(),
            (Phase::Live(leader), Wish::Kill | Wish::TimeOut) => leader.terminate(),
            _ => {}
        }
    }
}

/// Do it without end. A panic is said by then, and the other commands go on after a pause.
fn through_panics(pause: Duration, mut work: impl FnMut()) {
    while catch_unwind(AssertUnwindSafe(&mut work)).is_err() {
        std::thread::sleep(pause);
    }
}
