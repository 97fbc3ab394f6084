//! Ends a running job, and is the only room with unsafe code: what `PyO3` has no safe door for.
//!
//! Each block gives its reason. `README.md` beside this file has the protocol that binds a strike to its job.

#![allow(unsafe_code)]

pub(crate) mod ballast;
pub(crate) mod beat;
pub(crate) mod call;
pub(crate) mod codes;
pub(crate) mod collector;
pub(crate) mod context;
pub(crate) mod cover;
pub(crate) mod empty_frames;
pub(crate) mod exit_code;
mod finalizer;
pub(crate) mod finalizing;
mod footing;
pub(crate) mod frame;
pub(crate) mod frames;
pub(crate) mod frozen;
pub(crate) mod guard;
pub(crate) mod guest;
pub(crate) mod interpreter;
pub(crate) mod landing;
pub(crate) mod last_rung;
mod left;
pub(crate) mod names;
pub(crate) mod pending;
pub(crate) mod process;
pub(crate) mod pursuit;
pub(crate) mod reserve;
pub(crate) mod sight;
pub(crate) mod slot;
pub(crate) mod steps;
mod storm;
pub(crate) mod strike;
pub(crate) mod thread;
pub(crate) mod troop;
pub(crate) mod wake;
