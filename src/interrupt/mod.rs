//! Ends a running job, and is the only room with unsafe code: what `PyO3` has no safe door for.
//!
//! Each block gives its reason. `README.md` beside this file has the protocol that binds a strike to its job.

#![allow(unsafe_code)]

pub(crate) mod call;
pub(crate) mod collector;
pub(crate) mod context;
pub(crate) mod frames;
pub(crate) mod strike;
pub(crate) mod thread;
