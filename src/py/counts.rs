//! How many jobs are in each state.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::core::state::State;

/// One number for each state.
#[derive(Debug, Default)]
pub(crate) struct Counts([usize; State::ALL.len()]);

impl Counts {
    pub(crate) fn add(&mut self, state: State) {
        self.0[state as usize] += 1;
    }

    /// How many are in any of the states that `is_meant`.
    pub(crate) fn sum(&self, is_meant: impl Fn(State) -> bool) -> usize {
        let meant = State::ALL.into_iter().filter(|state| is_meant(*state));
        meant.map(|state| self.0[state as usize]).sum()
    }

    /// By the states' names, in their order; `with_none`: also states in which there is no job.
    pub(crate) fn to_dict<'py>(
        &self,
        py: Python<'py>,
        with_none: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let counts = PyDict::new(py);
        for state in State::ALL {
            let count = self.0[state as usize];
            if with_none || count > 0 {
                counts.set_item(state.name(), count)?;
            }
        }
        Ok(counts)
    }
}
