//! A worker whose job waits for a group of the same manager: another may run in its place meanwhile.
//!
//! A map from within a job would never end where all workers wait like that, and with one worker the first one would.

use std::sync::Arc;

use pyo3::prelude::*;

use super::current;
use super::house::House;
use super::job::Job;
use super::recruit::{Recruited, recruit};
use crate::core::pool::Admission;

/// As long as this lives, the calling worker is not counted among those that its manager may have.
pub(crate) struct Lent(Option<Arc<House>>);

impl Lent {
    /// For a wait for `job`; nothing, if that is no group or the caller is no worker of the same manager.
    pub(crate) fn of(py: Python<'_>, job: &Job) -> PyResult<Self> {
        if job.group.get().is_none() || job.is_over() || current::my_slot().is_none() {
            return Ok(Self(None));
        }
        let is_ours =
            current::job(py)?.is_some_and(|caller| Arc::ptr_eq(&caller.get().house, &job.house));
        if !is_ours {
            return Ok(Self(None));
        }
        let lent = Self(Some(Arc::clone(&job.house)));
        if job.house.pool.one_is_stuck() == Admission::NeedsWorker {
            match recruit(py, &job.house) {
                Recruited::Yes(result) => result?,
                Recruited::No(error) => return Err(error),
            }
        }
        Ok(lent)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(house) = &self.0 {
            house.pool.one_is_back();
        }
    }
}
