//! Seeing to it that a coroutine job ends that was asked to: what is done next, depending on what became of it.
//!
//! | what is seen | what is done |
//! |---|---|
//! | the loop has not come to it, since a step of this job blocks (2 ms) or computes (20 ms) | the step is struck, and looked after as any job (`interrupt::pursuit`) |
//! | the loop has not come to it, since another job keeps it | wait: nobody else is harmed |
//! | it was cancelled, or struck, half a second ago | ask again; from the third time on each line of each of its steps raises |

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::errand::Errand;
use crate::interrupt::pursuit::{Next, Pursuit};
use crate::py::alarm::Alarm;

/// How long a step may compute before it is struck, and how soon the first look is.
const LOOP_TIME: Duration = Duration::from_millis(20);
const AGAIN: Duration = Duration::from_millis(2);
/// How long a job has for its `finally` and `with` blocks.
const GRACE: Duration = Duration::from_millis(500);
/// The longest time between two looks.
const LONGEST: Duration = Duration::from_millis(250);
/// How often it is asked before each line raises.
const PATIENCE: u32 = 2;

/// One coroutine job that is to end.
#[derive(Debug)]
pub(crate) struct Chase {
    errand: Arc<Errand>,
    /// The step that was struck, and what is done about it.
    struck: Option<(u64, Pursuit)>,
    asked_again: u32,
    pause: Duration,
}

impl Chase {
    /// By the first who asks for its end.
    pub(crate) fn begin(errand: &Arc<Errand>) {
        let runs = errand
            .slot()
            .is_some_and(|slot| slot.step_of(errand.aim).is_some());
        let chase = Self {
            errand: Arc::clone(errand),
            struck: None,
            asked_again: 0,
            pause: AGAIN,
        };
        chase.look_in(if runs { AGAIN } else { LOOP_TIME });
    }

    /// Where the system has no thread for the timers, being cancelled has to be enough.
    fn look_in(self, time: Duration) {
        let house = Arc::clone(&self.errand.house);
        let _ = house
            .timers
            .add(Instant::now() + time, Alarm::Chase(Box::new(self)));
    }

    /// On the timers' thread. It takes the interpreter when there is something to look at: thousands may be chased at once.
    pub(crate) fn fire(mut self) {
        if self.errand.is_over() {
            return;
        }
        if self.struck.is_none()
            && let Some(rest) = self.errand.rests_for(GRACE)
            && !rest.is_zero()
        {
            self.look_in(rest);
            return;
        }
        if let Some(Some(time)) = Python::try_attach(|py| self.step(py)) {
            self.look_in(time);
        }
    }

    /// Look what became of it, and do the next thing; when to look again.
    fn step(&mut self, py: Python<'_>) -> Option<Duration> {
        let errand = &self.errand;
        Errand::lift_covers(errand, py);
        let view = errand.view().filter(|_| errand.house.is_here())?;
        let Some(slot) = errand.slot() else {
            return Some(self.slow_down());
        };
        let step = slot.step_of(errand.aim);
        if let Some((number, pursuit)) = &mut self.struck {
            if step == Some(*number) {
                match pursuit.step(py) {
                    Next::In(time) => return Some(time),
                    Next::Over | Next::Ask => {}
                }
            }
            self.struck = None;
        }
        if view.is_shielded {
            let help = errand.help_time_left();
            let pause = self.slow_down();
            return Some(help.map_or(pause, |help| pause.min(help)));
        }
        if view.is_heard {
            if view.since.elapsed() > GRACE {
                self.asked_again += 1;
                Errand::ask_again(errand, py, self.asked_again > PATIENCE);
                self.pause = AGAIN;
                return Some(LOOP_TIME);
            }
            return Some(self.slow_down());
        }
        let Some(number) = step else {
            return Some(self.slow_down());
        };
        if view.since.elapsed() < LOOP_TIME && !slot.waits_in_a_call() {
            return Some(AGAIN);
        }
        let class = errand.asked(py)?;
        slot.strike_or_put_off(class.bind(py), errand.aim);
        let mut pursuit = Pursuit::new(slot, errand.aim);
        let time = pursuit.begin(py);
        self.struck = Some((number, pursuit));
        Some(time)
    }

    fn slow_down(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 3 / 2).min(LONGEST);
        pause
    }
}
