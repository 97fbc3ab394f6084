//! When the guards are put in force: `RJOBS_GUARDS`.

use std::sync::atomic::{AtomicU8, Ordering};

use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;

use crate::interrupt::wake;

/// What the environment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// When rjobs is imported: the default.
    Import = 0,
    /// With the first job, or the first `kill_thread`.
    Jobs = 1,
    /// Never: an exception is sent, and nothing is woken.
    Off = 2,
}

static MODE: AtomicU8 = AtomicU8::new(Mode::Import as u8);

impl Mode {
    /// As in the variable's value.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Jobs => "jobs",
            Self::Off => "off",
        }
    }
}

/// What was read.
pub(crate) fn mode() -> Mode {
    match MODE.load(Ordering::Acquire) {
        mode if mode == Mode::Off as u8 => Mode::Off,
        mode if mode == Mode::Jobs as u8 => Mode::Jobs,
        _ => Mode::Import,
    }
}

/// Read it, once, while rjobs is imported. A value that says nothing is warned of, and stands for the default.
pub(super) fn read(py: Python<'_>) -> PyResult<Mode> {
    let value = py
        .import("os")?
        .getattr("environ")?
        .call_method1("get", ("RJOBS_GUARDS",))?;
    let text: Option<String> = value.extract()?;
    let mode = match text.as_deref().map(str::trim) {
        None | Some("" | "import") => Mode::Import,
        Some("jobs") => Mode::Jobs,
        Some("off") => Mode::Off,
        Some(other) => {
            let message = format!(
                "RJOBS_GUARDS={other:?} is no way to guard calls, and stands for 'import'. The values are 'import' (the guards \
                 are put in force by `import rjobs`, which is the default), 'jobs' (by the first job) and 'off' (never)"
            );
            let message = std::ffi::CString::new(message).unwrap_or_default();
            PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &message, 1)?;
            Mode::Import
        }
    };
    MODE.store(mode as u8, Ordering::Release);
    if mode == Mode::Off {
        wake::turn_off();
    }
    Ok(mode)
}
