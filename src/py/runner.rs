//! What runs a job: where its end has to be asked for.

use std::sync::Arc;

use super::event_loop::errand::Errand;
use crate::command::Command;
use crate::interrupt::slot::Slot;

/// One of the ways to run. A job has none before it runs for the first time, and keeps the last one.
#[derive(Debug)]
pub(crate) enum Runner {
    /// A worker of the pool, on its thread.
    Worker(Arc<Slot>),
    /// A process, and no thread.
    Process(Arc<Command>),
    /// The event loop of its manager, as one task of many.
    Task(Arc<Errand>),
}
