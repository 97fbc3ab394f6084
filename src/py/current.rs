//! Which job the calling thread or task works for.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Weak};

use pyo3::exceptions::{PyRuntimeError, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString};

use super::errors;
use super::house::House;
use super::job::Job;
#[cfg(not(Py_3_13))]
use super::shim;
use crate::core::sync::Mutex;
use crate::interrupt::context::{self, ContextVar};
use crate::interrupt::names::name;
use crate::interrupt::slot::Slot;

/// What the calling thread works for, if it is a worker or was started by a job.
///
/// A thread-local comes first, since setting a context variable costs as much as all the rest of a small job.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    /// The job of the moment; shared with who asks for the thread's name.
    pub(crate) job: Arc<Mutex<Option<Py<Job>>>>,
    /// Where it can be struck, on a worker.
    pub(crate) slot: Option<Arc<Slot>>,
    /// The same on a thread that a job started.
    pub(crate) aide: Option<Arc<Slot>>,
}

type JobOfMoment = Mutex<Option<Py<Job>>>;

/// The jobs of threads that jobs have started, as far as these live.
static ADOPTED: Mutex<Vec<Weak<JobOfMoment>>> = Mutex::new(Vec::new());

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
    static POST: RefCell<Option<Post>> = const { RefCell::new(None) };
}

/// A context variable for callbacks that a job sends to another thread's event loop (`rjobs._capture` sets it there), and for
/// coroutine jobs, whose thread is everybody's.
static CURRENT: ContextVar = ContextVar::new(c"rjobs.current_job");

pub(crate) fn variable(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    CURRENT.object(py)
}

/// The calling thread is a worker (or is one no more).
pub(crate) fn take_post(post: Option<Post>) {
    let before = POST.replace(post);
    drop(before);
}

/// The slot of the calling thread, on a worker.
pub(crate) fn my_slot() -> Option<Arc<Slot>> {
    POST.with_borrow(|post| post.as_ref()?.slot.clone())
}

/// The slot of the calling thread, on a worker or on a thread that a job started.
pub(crate) fn any_slot() -> Option<Arc<Slot>> {
    POST.with_borrow(|post| {
        let post = post.as_ref()?;
        post.slot.clone().or_else(|| post.aide.clone())
    })
}

/// Whether the calling thread runs jobs of a house, or what comes after them: it is not to wait for that house's jobs.
pub(crate) fn serves(house: &House) -> bool {
    let slot = my_slot();
    let is_worker =
        slot.is_some_and(|slot| house.slots().iter().any(|each| Arc::ptr_eq(each, &slot)));
    is_worker || house.room.is_this_thread() || IS_OURS.get()
}

/// The calling thread is one of ours that runs no jobs, but callbacks: that of some timers, or one that tells of commands. Nothing
/// may wait there for what it does itself.
pub(crate) fn is_our_thread() {
    IS_OURS.set(true);
}

/// Up to 3.12 `threading` keeps what it made for a thread that it did not start, if any code there asked for it.
#[cfg(not(Py_3_13))]
pub(crate) fn forget_this_thread(py: Python<'_>) {
    if let Err(error) = shim::FORGET_THREAD.call(py, ()) {
        error.write_unraisable(py, None);
    }
}

/// In the child of a fork: what the calling thread served and worked for is the parent's. It may have been one of
/// ours, on which nothing may wait; here it is the main thread.
pub(crate) fn after_fork_in_child() {
    IS_OURS.set(false);
    // Not dropped: the parent's job may be held by nothing else, and its end is not to run here.
    std::mem::forget(POST.take());
}

/// The current job, if there is one and this is the process it runs in: the child of a fork works for itself.
pub(crate) fn job(py: Python<'_>) -> PyResult<Option<Bound<'_, Job>>> {
    let here = POST.with_borrow(|post| {
        post.as_ref()?
            .job
            .lock()
            .as_ref()
            .map(|job| job.clone_ref(py).into_bound(py))
    });
    let job = match here {
        Some(job) => job,
        None => match CURRENT.get(py)? {
            Some(job) => job.cast_into::<Job>()?,
            None => return Ok(None),
        },
    };
    Ok(Some(job).filter(|job| job.get().house.is_here()))
}

/// Have whatever runs in `context`, a copy that nobody is inside of, work for `job`.
pub(crate) fn work_for(context: &Bound<'_, PyAny>, job: &Bound<'_, Job>) -> PyResult<()> {
    let inside = context::enter(context)?;
    let set = CURRENT.set(job);
    drop(inside);
    set
}

/// For the ident of a worker thread: the job it runs now, or Python's None. None for any other thread.
pub(crate) fn worker_of(
    py: Python<'_>,
    ident: std::ffi::c_ulong,
) -> PyResult<Option<Bound<'_, PyAny>>> {
    let threads = py.import("threading")?.call_method0("enumerate")?;
    for thread in threads.try_iter()? {
        let thread = thread?;
        if thread.getattr("ident")?.extract::<std::ffi::c_ulong>().ok() == Some(ident) {
            return thread.getattr_opt("rjobs_job");
        }
    }
    Ok(None)
}

/// The job that the calling thread or asyncio task works for, or None outside of any job.
///
/// Threads and tasks that a job starts work for it too. Does not block.
#[pyfunction]
pub(crate) fn current_job(py: Python<'_>) -> PyResult<Option<Bound<'_, Job>>> {
    job(py)
}

/// The current job, unless it is `owner`.
fn job_but<'py>(
    py: Python<'py>,
    owner: Option<&Bound<'py, Job>>,
) -> PyResult<Option<Bound<'py, Job>>> {
    Ok(job(py)?.filter(|job| owner.is_none_or(|owner| !owner.is(job))))
}

/// Append text to the output of the current job. False, and nothing done, where there is none, or it is `owner`, or `text`
/// is no str. None where it is to go on as well, to where it would go without a job: the job was made with `echo`.
#[pyfunction]
#[pyo3(signature = (text, owner = None, /))]
pub(crate) fn job_write<'py>(
    text: &Bound<'py, PyAny>,
    owner: Option<&Bound<'py, Job>>,
) -> PyResult<Option<bool>> {
    let Some(job) = job_but(text.py(), owner)? else {
        return Ok(Some(false));
    };
    let Ok(text) = text.cast::<PyString>() else {
        return Ok(Some(false));
    };
    match text.to_str() {
        Ok(plain) => job.get().write(plain.as_bytes())?,
        Err(error) if error.is_instance_of::<PyUnicodeEncodeError>(text.py()) => {
            job.get().write(&without_surrogates(text)?)?;
        }
        Err(error) => return Err(error),
    }
    Ok((!job.get().echo).then_some(true))
}

/// A text in UTF-8, which has no bytes for lone surrogates: each comes as U+FFFD.
fn without_surrogates(text: &Bound<'_, PyString>) -> PyResult<Vec<u8>> {
    // A surrogate has three bytes there, as what comes in its place, and the first of them tells.
    const FIRST: u8 = 0xED;
    const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();
    let py = text.py();
    let bytes = text
        .call_method1(
            name!(py, "encode"),
            (name!(py, "utf-8"), name!(py, "surrogatepass")),
        )?
        .cast_into::<PyBytes>()?;
    let mut plain = Vec::new();
    plain
        .try_reserve_exact(bytes.as_bytes().len())
        .map_err(|_| errors::no_memory())?;
    for chunk in bytes.as_bytes().utf8_chunks() {
        plain.extend_from_slice(chunk.valid().as_bytes());
        if chunk.invalid().first() == Some(&FIRST) {
            plain.extend_from_slice(REPLACEMENT);
        }
    }
    Ok(plain)
}

/// The same for bytes, or anything else with a buffer; the number of bytes, or None where they are to go on.
#[pyfunction]
#[pyo3(signature = (data, owner = None, /))]
pub(crate) fn job_write_bytes<'py>(
    data: &Bound<'py, PyAny>,
    owner: Option<&Bound<'py, Job>>,
) -> PyResult<Option<usize>> {
    let Some(job) = job_but(data.py(), owner)? else {
        return Ok(None);
    };
    // Through memoryview, since bytes() takes an int as well, for a length.
    let Ok(view) = PyMemoryView::from(data) else {
        return Ok(None);
    };
    let bytes = view
        .call_method0(name!(data.py(), "tobytes"))?
        .cast_into::<PyBytes>()?;
    job.get().write(bytes.as_bytes())?;
    Ok(Some(bytes.as_bytes().len()).filter(|_| !job.get().echo))
}

/// Make the calling thread work for `job` from here on, or for none: for threads that a job starts.
#[pyfunction]
#[pyo3(signature = (job, /))]
pub(crate) fn adopt(job: Option<Py<Job>>) {
    match job {
        Some(job) => works_for(job, None),
        None => take_post(None),
    }
}

/// The same, on a thread that is struck with the job, where it has a slot.
pub(crate) fn works_for(job: Py<Job>, aide: Option<Arc<Slot>>) {
    let job = Arc::new(Mutex::new(Some(job)));
    {
        let mut adopted = ADOPTED.lock();
        if adopted.len() == adopted.capacity() {
            adopted.retain(|job| job.strong_count() > 0);
        }
        adopted.push(Arc::downgrade(&job));
    }
    let slot = None;
    take_post(Some(Post { job, slot, aide }));
}

/// The interpreter ends: a thread that a job started, and that may go on, keeps the job no more.
pub(crate) fn nobody_works_for_a_job() {
    let adopted = std::mem::take(&mut *ADOPTED.lock());
    for job in adopted.iter().filter_map(Weak::upgrade) {
        let job = job.lock().take();
        drop(job);
    }
}

/// Raise if there is a current job: nobody could answer it.
#[pyfunction]
pub(crate) fn refuse_input(py: Python<'_>) -> PyResult<()> {
    let Some(job) = job(py)? else { return Ok(()) };
    Err(PyRuntimeError::new_err(format!(
        "job {} asked for input, but a background job has no keyboard: pass the value as an argument",
        job.get().record.number()
    )))
}
