//! The thread of a room's event loop: what `rjobs._loop` needs of this side, and how it is started.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

use super::call_method;
use super::errand::Errand;
use super::room::Item;
use super::run;
use super::steps::Steps;
use crate::core::clock;
use crate::core::state::State;
use crate::core::sync::Mutex;
use crate::interrupt::names::name;
use crate::interrupt::slot::Slot;
use crate::interrupt::steps::Struck;
use crate::interrupt::{beat, thread};
use crate::py::current::{self, Post};
use crate::py::fault::{self, Place, may_happen};
use crate::py::house::House;
use crate::py::job::Job;
use crate::py::outcome::Outcome;
use crate::py::{ending, exit, shim, streams};

/// What the thread runs: held by `rjobs._threads.WorkerThread`.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct Keeper {
    house: Arc<House>,
    /// As a worker's: set once, by the thread when it begins, or by who started it and gave up.
    decided: AtomicBool,
    slot: Mutex<Option<Arc<Slot>>>,
}

impl Keeper {
    pub(crate) fn new(house: &Arc<House>) -> Self {
        Self {
            house: Arc::clone(house),
            decided: AtomicBool::new(false),
            slot: Mutex::new(None),
        }
    }

    /// It could not be started: should its thread come up after all, it ends at once. False when it is running already.
    pub(crate) fn give_up(&self) -> bool {
        !self.decided.swap(true, Ordering::AcqRel)
    }

    /// The task of a job that came.
    fn take_job(&self, host: &Bound<'_, PyAny>, errand: &Arc<Errand>) -> PyResult<()> {
        let py = host.py();
        let slot = self.slot.lock().clone();
        let (Some(job), Some(slot)) = (errand.job(py), slot) else {
            return Ok(());
        };
        errand.moved_in(&slot);
        let work = job
            .get()
            .held
            .lock()
            .work
            .as_ref()
            .map(|work| work.clone_ref(py));
        let Some(work) = work.filter(|_| !job.get().is_over()) else {
            // Cancelled or killed while it was queued.
            run::leave(py, errand);
            return Ok(());
        };
        let name = pyo3::types::PyString::new(py, &job.get().shown_name(py));
        let steps = Bound::new(py, Steps::of_job(errand))?;
        let context = work.context.bind(py).clone();
        work.release(py);
        // From here on whatever runs in the context works for the job: its tasks, callbacks, calls in threads.
        current::work_for(&context, &job)?;
        let task = call_method(host, name!(py, "start"), (steps, name, context))?;
        errand.set_task(task.unbind());
        Ok(())
    }

    /// There is no loop: what waits for it fails.
    fn fail_all(&self, error: &PyErr, py: Python<'_>) {
        for errand in self.house.room.give_up() {
            if let Some(job) = errand.job(py) {
                fail(&job, error);
            }
            errand.end(py);
        }
    }
}

/// End a job that no loop runs any more with an error.
pub(crate) fn fail(job: &Bound<'_, Job>, error: &PyErr) {
    let py = job.py();
    let now = clock::now();
    job.get().begin(now);
    let exception = error.clone_ref(py).into_value(py).into_bound(py);
    let (state, outcome): (State, Outcome) = ending::judge(job, &exception, &Struck::default());
    Job::end_running(job, state, outcome, now);
}

#[pymethods]
impl Keeper {
    /// The job whose step runs now, or None.
    #[getter]
    fn job<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Job>> {
        self.house.room.current()?.job(py)
    }

    /// Seconds without a job until the loop goes; None while it has one.
    #[getter]
    fn time_left(&self) -> Option<f64> {
        self.house.room.time_left().map(|left| left.as_secs_f64())
    }

    /// Run the event loop until it is let go. To be called once, on a thread of its own.
    fn run(me: &Bound<'_, Self>) {
        let (py, keeper) = (me.py(), me.get());
        if keeper.decided.swap(true, Ordering::AcqRel) {
            return;
        }
        if exit::has_closed() {
            keeper.house.room.thread_goes();
            exit::stay_out(py);
        }
        // It is counted by the room since before it was started.
        keeper.house.roll.expect();
        keeper.house.roll.is_here(thread::native_id());
        thread::set_name("rjobs-loop");
        let slot = Arc::new(Slot::of_this_loop(py));
        *keeper.slot.lock() = Some(Arc::clone(&slot));
        // No job of the thread's: each task and callback brings its own, in its context.
        current::take_post(Some(Post {
            job: Arc::new(Mutex::new(None)),
            slot: Some(Arc::clone(&slot)),
            aide: None,
        }));
        beat::set_here(Some(&slot));
        let ran = shim::RUN_LOOP.call(py, (me,));
        if let Err(error) = ran {
            keeper.fail_all(&error, py);
            error.write_unraisable(py, Some(me));
        }
        slot.retire();
        current::take_post(None);
        keeper.house.room.is_at_rest();
        keeper.house.room.thread_goes();
    }

    /// Whether the interpreter ends.
    #[getter]
    #[allow(clippy::unused_self, reason = "an attribute to Python")]
    fn is_ending(&self) -> bool {
        exit::is_ending()
    }

    /// The loop is up.
    fn host_is_up(&self, host: Py<PyAny>) {
        self.house.room.host_is_up(host);
    }

    /// Take in what came: start the tasks of new jobs, cancel those that are to end. True when there is more.
    fn take_in(&self, host: &Bound<'_, PyAny>) -> bool {
        let py = host.py();
        let mut looked = false;
        let (items, is_more) = self.house.room.inbox();
        for item in items {
            match item {
                Item::Job(errand) => {
                    if !std::mem::replace(&mut looked, true) {
                        streams::ensure_hooked(py);
                    }
                    let taken = fault::caught(|| {
                        may_happen(Place::TakeIn);
                        self.take_job(host, &errand)
                    });
                    let job = errand.job(py);
                    match taken {
                        Ok(Ok(())) => continue,
                        Ok(Err(error)) => {
                            fault::contained(py, || job.inspect(|job| fail(job, &error)));
                        }
                        Err(panic) => {
                            let error = fault::of_panic(py, job.as_ref(), &*panic);
                            fault::contained(py, || {
                                job.inspect(|job| Job::end_by_fault(job, error.value(py)))
                            });
                        }
                    }
                    fault::contained(py, || run::leave(py, &errand));
                }
                Item::Ask(errand) => {
                    fault::contained(py, || errand.hear(py));
                }
            }
        }
        is_more
    }

    /// Whether the loop may go, since nothing has come: from then on nothing will.
    fn may_go(&self) -> bool {
        self.house.room.may_go()
    }
}
