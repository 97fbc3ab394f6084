//! The part of rjobs that knows no Python: states, records, registry, pool, timers, waiting, output.
//!
//! It promises that every race between threads is decided here, by one transition function and a few small locks.
//! The state machine and the lock order are written down in `README.md` beside this file. Nothing here imports
//! `PyO3`, logs, or calls user code; what it is given to keep (`T`) it moves but never drops behind the caller's back.

#![forbid(unsafe_code)]

pub mod backlog;
pub mod bars;
pub mod bell;
pub mod census;
pub mod clock;
pub mod entrance;
pub mod generations;
pub mod latch;
pub mod limits;
pub mod muster;
pub mod news;
pub mod once;
pub mod output;
pub mod pace;
pub mod pool;
pub mod progress;
pub mod queue;
pub mod record;
pub mod registry;
pub mod ring;
pub mod roll;
pub mod spread;
pub mod state;
pub mod sync;
pub mod timers;
pub mod values;
pub mod visits;
pub mod window;
