//! A bounded look at all jobs of a manager: what tables show.

use std::collections::VecDeque;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::counts::Counts;
use super::job::Job;
use super::manager::JobManager;
use crate::core::state::State;

/// The numbers of the jobs that may be shown, each list at most as long as the table.
#[derive(Debug, Default)]
struct Chosen {
    running: Vec<u64>,
    queued: Vec<u64>,
    /// Ended in any other way than done; the newest.
    dead: VecDeque<u64>,
    /// The newest.
    done: VecDeque<u64>,
}

impl Chosen {
    fn consider(&mut self, number: u64, state: State, limit: usize) {
        let first = |list: &mut Vec<u64>| {
            if list.len() < limit {
                list.push(number);
            }
        };
        let newest = |list: &mut VecDeque<u64>| {
            list.push_front(number);
            list.truncate(limit);
        };
        match state {
            State::Running => first(&mut self.running),
            State::Queued => first(&mut self.queued),
            State::Done => newest(&mut self.done),
            _ => newest(&mut self.dead),
        }
    }

    /// What a user would miss first comes first. A fifth of the room is for dead ones in any case.
    fn numbers(mut self, limit: usize) -> impl Iterator<Item = u64> {
        self.running
            .truncate(limit - self.dead.len().min(limit / 5));
        let running = self.running.into_iter();
        let ended = running.chain(self.dead).chain(self.queued);
        ended.chain(self.done).take(limit)
    }
}

/// What is noted of a job in the registry: how it ended, and that it was told of. Of many that are kept nearly all have ended, and
/// going to each of them in memory takes longer than all the rest.
struct Note;

impl Note {
    /// The bits of a state that is final, plus one.
    const STATE: u8 = 0x0f;
    const TOLD: u8 = 0x10;

    fn state(note: &mut u8, job: &Job) -> State {
        if let Some(state) = (*note & Self::STATE).checked_sub(1) {
            return State::from_u8(state);
        }
        let state = job.state();
        if state.is_terminal() {
            *note |= state as u8 + 1;
        }
        state
    }

    fn tell(note: &mut u8, job: &Job) {
        if *note & Self::STATE != 0 && *note & Self::TOLD == 0 {
            job.report();
            *note |= Self::TOLD;
        }
    }
}

#[pymethods]
impl JobManager {
    /// For tables: at most `limit` jobs, and how many there are in each state.
    ///
    /// Those that run come first, then the newest dead ones, then those that are queued, then the newest that are done. With
    /// `tell` all that have ended are told of by this.
    #[pyo3(signature = (limit, tell = false))]
    fn _snapshot<'py>(
        &self,
        py: Python<'py>,
        limit: usize,
        tell: bool,
    ) -> PyResult<(Vec<Py<Job>>, Bound<'py, PyDict>)> {
        let mut counts = Counts::default();
        let mut chosen = Chosen::default();
        // By number, so that a job is seen in one state only, and no reference is dropped under the lock.
        self.registry.survey(|number, job, note| {
            let state = Note::state(note, job.get());
            counts.add(state);
            chosen.consider(number, state, limit);
            if tell {
                Note::tell(note, job.get());
            }
        });
        let shown = chosen
            .numbers(limit)
            .filter_map(|number| self.registry.with(number, |job| job.clone_ref(py)))
            .collect();
        Ok((shown, counts.to_dict(py, false)?))
    }
}

#[cfg(test)]
mod test {
    use super::Chosen;
    use crate::core::state::State;

    fn shown(states: &[(State, u64)], limit: usize) -> Vec<u64> {
        let mut chosen = Chosen::default();
        let all = states
            .iter()
            .flat_map(|(state, count)| (0..*count).map(move |_| *state));
        for (number, state) in (0..).zip(all) {
            chosen.consider(number, state, limit);
        }
        chosen.numbers(limit).collect()
    }

    #[test]
    fn running_and_failed_ones_are_not_the_first_that_are_left_out() {
        let states = [
            (State::Queued, 4),
            (State::Done, 4),
            (State::Failed, 2),
            (State::Running, 2),
        ];
        assert_eq!(shown(&states, 10), [10, 11, 9, 8, 0, 1, 2, 3, 7, 6]);
        assert_eq!(shown(&states, 5), [10, 11, 9, 8, 0]);
        assert_eq!(shown(&[(State::Done, 100)], 3), [99, 98, 97]);
    }

    #[test]
    fn many_running_ones_leave_some_room_for_dead_ones() {
        let states = [(State::Killed, 100), (State::Running, 100)];
        let shown = shown(&states, 10);
        assert_eq!(shown, [100, 101, 102, 103, 104, 105, 106, 107, 99, 98]);
    }
}
