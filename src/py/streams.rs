//! Seeing to it that the standard streams are hooked (`rjobs._streams`) when a job starts.

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::shim;

/// The streams that were there last time, held so that their addresses stay theirs.
static SEEN: Mutex<[Option<Py<PyAny>>; 2]> = Mutex::new([None, None]);

/// Hook `sys.stdout` and `sys.stderr` if they are other objects than last time. Cheap when they are not.
pub(crate) fn ensure_hooked(py: Python<'_>) {
    if let Err(error) = try_ensure_hooked(py) {
        error.write_unraisable(py, None);
    }
}

fn try_ensure_hooked(py: Python<'_>) -> PyResult<()> {
    static SYS: pyo3::sync::PyOnceLock<Py<PyDict>> = pyo3::sync::PyOnceLock::new();
    let sys = SYS
        .get_or_try_init(py, || PyResult::Ok(py.import("sys")?.dict().unbind()))?
        .bind(py);
    let streams = [
        sys.get_item(pyo3::intern!(py, "stdout"))?,
        sys.get_item(pyo3::intern!(py, "stderr"))?,
    ];
    let address = |stream: Option<*mut pyo3::ffi::PyObject>| stream.map_or(0, |it| it as usize);
    let now = streams
        .each_ref()
        .map(|stream| address(stream.as_ref().map(Bound::as_ptr)));
    let seen = SEEN
        .lock()
        .each_ref()
        .map(|stream| address(stream.as_ref().map(Py::as_ptr)));
    if now == seen {
        return Ok(());
    }
    shim::HOOK_STREAMS.call(py, ())?;
    see(streams.map(|stream| stream.map(Bound::unbind)));
    Ok(())
}

fn see(streams: [Option<Py<PyAny>>; 2]) {
    let before = std::mem::replace(&mut *SEEN.lock(), streams);
    drop(before);
}

/// Forget which streams were there: the next job looks again.
#[pyfunction]
pub(crate) fn forget_streams() {
    see([None, None]);
}
