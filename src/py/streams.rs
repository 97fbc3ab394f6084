//! Seeing to it that the standard streams are hooked (`rjobs._streams`) when a job starts.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyWeakrefMethods, PyWeakrefReference};

use super::shim;
use crate::core::once::Once;
use crate::core::sync::Mutex;
use crate::interrupt::names::name;

/// The streams that were hooked last. Weakly: a stream that is replaced must be closed, and so flushed, when it was before.
static SEEN: Mutex<[Option<Py<PyWeakrefReference>>; 2]> = Mutex::new([None, None]);

/// Hook `sys.stdout` and `sys.stderr` if they are other objects than last time. Cheap when they are not.
pub(crate) fn ensure_hooked(py: Python<'_>) {
    if let Err(error) = try_ensure_hooked(py) {
        error.write_unraisable(py, None);
    }
}

fn try_ensure_hooked(py: Python<'_>) -> PyResult<()> {
    static SYS: Once<Py<PyDict>> = Once::new();
    let sys = SYS
        .get_or_try_make(|| PyResult::Ok(py.import("sys")?.dict().unbind()))?
        .bind(py);
    let streams = [
        sys.get_item(name!(py, "stdout"))?,
        sys.get_item(name!(py, "stderr"))?,
    ];
    let seen = SEEN
        .lock()
        .each_ref()
        .map(|seen| seen.as_ref().map(|seen| seen.clone_ref(py)));
    let is_same = streams
        .iter()
        .zip(seen)
        .all(|(stream, seen)| match (stream, seen) {
            (Some(stream), Some(seen)) => {
                seen.bind(py).upgrade().is_some_and(|seen| seen.is(stream))
            }
            _ => false,
        });
    if is_same {
        return Ok(());
    }
    shim::HOOK_STREAMS.call(py, ())?;
    // Of one that takes no weak references: it is looked at each time.
    let seen = streams.map(|stream| Some(PyWeakrefReference::new(&stream?).ok()?.unbind()));
    see(seen);
    Ok(())
}

fn see(streams: [Option<Py<PyWeakrefReference>>; 2]) {
    let before = std::mem::replace(&mut *SEEN.lock(), streams);
    drop(before);
}

/// Forget which streams were there: the next job looks again.
#[pyfunction]
pub(crate) fn forget_streams() {
    see([None, None]);
}
