//! The `write` that stands before a stream's own: a job's text goes to the job, all other text through.

use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use super::{current, shim};

/// What `rjobs._capture` puts on a stream in the place of one of its methods.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct StreamHook {
    original: Mutex<Option<Py<PyAny>>>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// `write` of a text stream.
    Text,
    /// `write` of the binary stream beneath.
    Bytes,
    /// `flush`: nothing to do in a job, where nothing was written; and what others wrote must not be flushed on the job's
    /// thread, since it would pass the hook beneath as the job's.
    Flush,
}

#[pymethods]
impl StreamHook {
    #[new]
    fn new(original: Py<PyAny>, kind: &str) -> PyResult<Self> {
        let kind = match kind {
            "text" => Kind::Text,
            "bytes" => Kind::Bytes,
            "flush" => Kind::Flush,
            _ => {
                return Err(PyValueError::new_err(
                    "kind must be 'text', 'bytes' or 'flush'",
                ));
            }
        };
        Ok(Self {
            original: Mutex::new(Some(original)),
            kind,
        })
    }

    /// What it stands before.
    #[getter]
    fn original(&self, py: Python<'_>) -> Py<PyAny> {
        self.original
            .lock()
            .as_ref()
            .map_or_else(|| py.None(), |original| original.clone_ref(py))
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(job) = current::job(py)?
            && let Some(taken) = self.take(job.get(), args)?
        {
            return Ok(taken);
        }
        self.original(py).into_bound(py).call(args, kwargs)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.original
            .try_lock()
            .map_or(Ok(()), |original| visit.call(&*original))
    }

    fn __clear__(&self) {
        let original = self.original.lock().take();
        drop(original);
    }
}

impl StreamHook {
    /// Give what was written to the job; None when it is nothing that the stream would take (its own error tells).
    fn take<'py>(
        &self,
        job: &super::job::Job,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = args.py();
        if let Kind::Flush = self.kind {
            return Ok(Some(py.None().into_bound(py)));
        }
        let Ok(written) = args.get_item(0) else {
            return Ok(None);
        };
        match self.kind {
            Kind::Text => {
                let Ok(text) = written.cast::<PyString>() else {
                    return Ok(None);
                };
                // Lone surrogates, which UTF-8 has no bytes for, come as U+FFFD.
                job.write(text.to_string_lossy().as_bytes());
                Ok(Some(text.len()?.into_pyobject(py)?.into_any()))
            }
            _ => {
                // bytes, bytearray, memoryview, array: bytes() knows them all, and an int it would misread.
                if written.is_instance_of::<pyo3::types::PyInt>() {
                    return Ok(None);
                }
                let bytes = py
                    .get_type::<PyBytes>()
                    .call1((&written,))?
                    .cast_into::<PyBytes>()?;
                job.write(bytes.as_bytes());
                Ok(Some(bytes.as_bytes().len().into_pyobject(py)?.into_any()))
            }
        }
    }
}

/// The streams that were hooked last, held so that their addresses stay theirs.
static HOOKED: Mutex<[Option<Py<PyAny>>; 2]> = Mutex::new([None, None]);

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
    let address =
        |stream: Option<*mut pyo3::ffi::PyObject>| stream.map_or(0, |pointer| pointer as usize);
    let now = streams
        .each_ref()
        .map(|stream| address(stream.as_ref().map(Bound::as_ptr)));
    let known = HOOKED
        .lock()
        .each_ref()
        .map(|stream| address(stream.as_ref().map(Py::as_ptr)));
    if now == known {
        return Ok(());
    }
    shim::HOOK_STREAMS.get(py)?.call0()?;
    remember(streams.map(|stream| stream.map(Bound::unbind)));
    Ok(())
}

fn remember(streams: [Option<Py<PyAny>>; 2]) {
    let before = std::mem::replace(&mut *HOOKED.lock(), streams);
    drop(before);
}

/// Forget which streams were hooked: the next job looks again.
#[pyfunction]
pub(crate) fn forget_streams() {
    remember([None, None]);
}
