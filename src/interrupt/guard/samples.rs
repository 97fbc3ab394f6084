//! An object of each type whose methods are guarded, for trying a call of them.

use pyo3::prelude::*;

/// An object of the type `owner`, on which nothing can be waited for; None where there is none, or none can be made now.
pub(super) fn sample<'py>(owner: &str, object: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let py = object.py();
    let made = match owner {
        // Without being initialized they have no descriptor, and no database.
        "_socket.socket" | "_io.FileIO" | "_sqlite3.Connection" | "_sqlite3.Cursor" => {
            object.call_method1("__new__", (object,))
        }
        "_thread.LockType" => py
            .import("_thread")
            .and_then(|m| m.call_method0("allocate_lock")),
        "select.poll()" => py.import("select").and_then(|m| m.call_method0("poll")),
        // Without a semaphore.
        "_multiprocessing.SemLock" => object.call_method1("_rebuild", (0, 1, 1, py.None())),
        "_ssl._SSLSocket" => tls(py),
        "_thread.RLock" | "_queue.SimpleQueue" | "_thread._ThreadHandle" | "select.epoll" => {
            object.call0()
        }
        _ => return None,
    };
    made.ok()
}

/// Between two buffers, and not connected.
fn tls(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let module = py.import("_ssl")?;
    let protocol = module.getattr("PROTOCOL_TLS_CLIENT")?;
    let context = module.getattr("_SSLContext")?.call1((protocol,))?;
    let buffer = || module.getattr("MemoryBIO")?.call0();
    context.call_method1("_wrap_bio", (buffer()?, buffer()?, false, "localhost"))
}
