//! What stands between an `asyncio` task and the coroutine that it steps through: for a coroutine job, and for the tasks it starts.
//!
//! Each step opens the slot of the loop's thread for the job, and closes it right after. What left the coroutine of a job is the
//! job's outcome and never the task's: `SystemExit` would end the loop, and an exception that nobody asks the task for is logged.

use std::sync::Arc;

use pyo3::exceptions::{PyAttributeError, PyBaseException, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::driven::{ToDo, to_be_stepped_through};
use super::errand::Errand;
use super::meaning::{beside_the_job, in_place_of, instance_of, is_cancellation, reused};
use super::run::{self, Began};
use crate::core::sync::Mutex;
use crate::interrupt::call::{self, Sent};
use crate::py::job::Job;
use crate::py::{ending, fault, held, shim};

/// A coroutine to `asyncio`: the steps of one of a job's.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct Steps {
    errand: Arc<Errand>,
    /// Of the job's own coroutine, and not of a task that this started.
    is_main: bool,
    stage: Mutex<Stage>,
}

#[derive(Debug)]
enum Stage {
    /// Of the job: its function was not called yet.
    Unbegun,
    Runs(Py<PyAny>),
    /// Of the job: its coroutine has ended so, and what it left behind is being ended.
    Tidies(Py<PyAny>, Option<Finished>),
    Over,
}

/// What the coroutine of a job came to.
pub(crate) type Finished = Result<Py<PyAny>, Py<PyBaseException>>;

impl Drop for Steps {
    fn drop(&mut self) {
        self.set(Stage::Over);
    }
}

/// What the task gives the coroutine.
enum Input<'py> {
    Value(Bound<'py, PyAny>),
    Exception(Bound<'py, PyBaseException>),
}

impl Steps {
    /// Of a job that its loop takes in.
    pub(crate) fn of_job(errand: &Arc<Errand>) -> Self {
        Self {
            errand: Arc::clone(errand),
            is_main: true,
            stage: Mutex::new(Stage::Unbegun),
        }
    }

    /// Of a task that the job starts.
    fn of_task(errand: Arc<Errand>, coroutine: Py<PyAny>) -> Self {
        Self {
            errand,
            is_main: false,
            stage: Mutex::new(Stage::Runs(coroutine)),
        }
    }

    fn set(&self, stage: Stage) {
        let before = std::mem::replace(&mut *self.stage.lock(), stage);
        // Outside of the lock, and with the guard that dropping Python objects needs here.
        if let Stage::Runs(coroutine) | Stage::Tidies(coroutine, _) = before {
            // None: the interpreter is gone. No panic here, as this is called by a drop.
            let _ = Python::try_attach(|py| call::release(coroutine.into_bound(py)));
        }
    }

    fn coroutine(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match &*self.stage.lock() {
            Stage::Runs(coroutine) | Stage::Tidies(coroutine, _) => Some(coroutine.clone_ref(py)),
            Stage::Unbegun | Stage::Over => None,
        }
    }

    /// One step.
    fn step<'py>(me: &Bound<'py, Self>, input: Input<'py>) -> Sent<'py> {
        let (py, steps) = (me.py(), me.get());
        // A panic of ours is that job's failure, and not the loop's.
        let sent = fault::caught(|| {
            if steps.is_main {
                Self::step_of_job(me, input)
            } else {
                steps.step_of_task(py, me.as_ptr() as usize, input)
            }
        });
        sent.unwrap_or_else(|panic| {
            fault::contained(py, || steps.errand.slot().map(|slot| slot.close(py)));
            let job = steps.errand.job(py);
            let error = fault::of_panic(py, job.as_ref(), &*panic);
            if !steps.is_main {
                return Sent::Raised(error.into_value(py).into_bound(py));
            }
            fault::contained(py, || run::clear_up(py, &steps.errand));
            fault::contained(py, || {
                job.inspect(|job| Job::end_by_fault(job, error.value(py)))
            });
            fault::contained(py, || run::leave(py, &steps.errand));
            fault::contained(py, || steps.set(Stage::Over));
            Sent::Returned(py.None().into_bound(py))
        })
    }

    fn step_of_job<'py>(me: &Bound<'py, Self>, input: Input<'py>) -> Sent<'py> {
        let (py, steps) = (me.py(), me.get());
        let (is_unbegun, tidies, coroutine) = {
            let stage = steps.stage.lock();
            let tidies = matches!(&*stage, Stage::Tidies(..));
            let coroutine = match &*stage {
                Stage::Runs(coroutine) | Stage::Tidies(coroutine, _) => {
                    Some(coroutine.clone_ref(py).into_bound(py))
                }
                Stage::Unbegun | Stage::Over => None,
            };
            (matches!(&*stage, Stage::Unbegun), tidies, coroutine)
        };
        let sent = match coroutine {
            None if is_unbegun => match steps.begin(py, input) {
                Some(sent) => sent,
                None => return steps.nothing_more(py),
            },
            None => return Sent::Raised(reused(py)),
            Some(coroutine) if tidies => {
                let sent = feed(&coroutine, input);
                if matches!(sent, Sent::Yielded(_)) {
                    return sent;
                }
                return steps.end(py);
            }
            Some(coroutine) => steps.go_on(&coroutine, input),
        };
        match sent {
            Sent::Yielded(_) => sent,
            Sent::Returned(value) => Self::finish(me, Ok(value)),
            Sent::Raised(exception) => Self::finish(me, Err(exception)),
        }
    }

    /// The first step: call the function, and begin with the coroutine that it gives. None when the job was ended while it was
    /// queued.
    fn begin<'py>(&self, py: Python<'py>, input: Input<'py>) -> Option<Sent<'py>> {
        let job = self.errand.job(py)?;
        let work = match run::begin(&job, &self.errand) {
            Began::Runs(work) => work,
            Began::Fails(exception) => return Some(Sent::Raised(exception)),
            Began::IsOver => return None,
        };
        if let Input::Exception(exception) = input {
            // Somebody cancels all tasks of the loop.
            work.release(py);
            return Some(Sent::Raised(exception));
        }
        let sent = run::within(py, &self.errand, true, || {
            let result = call::call(
                work.callable.bind(py),
                work.args.bind(py),
                work.kwargs.as_ref().map(|kwargs| kwargs.bind(py)),
            );
            match result.and_then(to_be_stepped_through) {
                Ok(ToDo::Coroutine(coroutine)) => {
                    *self.stage.lock() = Stage::Runs(coroutine.clone().unbind());
                    self.errand.set_coroutine(coroutine.clone().unbind());
                    call::send(&coroutine, &py.None().into_bound(py))
                }
                Ok(ToDo::Nothing(value)) => Sent::Returned(value),
                Err(exception) => Sent::Raised(exception),
            }
        });
        work.release(py);
        Some(sent)
    }

    fn go_on<'py>(&self, coroutine: &Bound<'py, PyAny>, input: Input<'py>) -> Sent<'py> {
        let py = coroutine.py();
        let input = match self.errand.insisted(py) {
            Some(class) => Input::Exception(instance_of(class.bind(py))),
            None => input,
        };
        run::within(py, &self.errand, self.is_main, || feed(coroutine, input))
    }

    /// The coroutine of the job has ended: end what it left behind, as `asyncio.run` does, then the job.
    fn finish<'py>(
        me: &Bound<'py, Self>,
        result: Result<Bound<'py, PyAny>, Bound<'py, PyBaseException>>,
    ) -> Sent<'py> {
        let (py, steps) = (me.py(), me.get());
        let result = match steps.errand.take_doom() {
            Some(doom) => {
                let (Ok(left) | Err(left)) = result.map_err(Bound::into_any);
                call::release(left);
                Err(doom.into_bound(py))
            }
            None => run::end_figures(py, &steps.errand, result)
                .map_err(|exception| steps.meant_by(exception)),
        };
        let finished = result.map(Bound::unbind).map_err(Bound::unbind);
        let Some(tidying) = run::tidying(me, &steps.errand) else {
            run::end(py, &steps.errand, finished);
            return steps.nothing_more(py);
        };
        steps.set(Stage::Tidies(tidying.clone().unbind(), Some(finished)));
        match call::send(&tidying, &py.None().into_bound(py)) {
            Sent::Yielded(waits_for) => Sent::Yielded(waits_for),
            Sent::Returned(_) | Sent::Raised(_) => steps.end(py),
        }
    }

    /// The exception that was meant by one that left a coroutine: a kill comes as a cancellation.
    fn meant_by<'py>(&self, exception: Bound<'py, PyBaseException>) -> Bound<'py, PyBaseException> {
        let py = exception.py();
        match self.errand.asked(py) {
            Some(asked) if is_cancellation(&exception) => {
                let meant = in_place_of(&exception, asked.bind(py));
                call::release(exception);
                meant
            }
            _ => exception,
        }
    }

    fn end<'py>(&self, py: Python<'py>) -> Sent<'py> {
        let finished = match &mut *self.stage.lock() {
            Stage::Tidies(_, finished) => finished.take(),
            _ => None,
        };
        if let Some(finished) = finished {
            run::end(py, &self.errand, finished);
        }
        self.nothing_more(py)
    }

    /// A task of a job ends with None, whatever the job ended with.
    fn nothing_more<'py>(&self, py: Python<'py>) -> Sent<'py> {
        self.set(Stage::Over);
        run::leave(py, &self.errand);
        Sent::Returned(py.None().into_bound(py))
    }

    fn step_of_task<'py>(&self, py: Python<'py>, key: usize, input: Input<'py>) -> Sent<'py> {
        let Some(coroutine) = self.coroutine(py) else {
            return Sent::Raised(reused(py));
        };
        let sent = self.go_on(coroutine.bind(py), input);
        if matches!(sent, Sent::Yielded(_)) {
            return sent;
        }
        self.set(Stage::Over);
        self.errand.remove_task(key);
        match sent {
            Sent::Raised(exception) => {
                let (Ok(exception) | Err(exception)) = beside_the_job(&self.errand, exception);
                Sent::Raised(exception)
            }
            sent => sent,
        }
    }
}

fn feed<'py>(coroutine: &Bound<'py, PyAny>, input: Input<'py>) -> Sent<'py> {
    match input {
        Input::Value(value) => call::send(coroutine, &value),
        Input::Exception(exception) => call::throw(coroutine, &exception),
    }
}

/// As the methods of a coroutine tell it.
fn told(sent: Sent<'_>) -> PyResult<Py<PyAny>> {
    match sent {
        Sent::Yielded(waits_for) => Ok(waits_for.unbind()),
        Sent::Returned(value) => Err(PyStopIteration::new_err((value.unbind(),))),
        Sent::Raised(exception) => Err(PyErr::from_value(exception.into_any())),
    }
}

#[pymethods]
impl Steps {
    fn __iter__(me: Py<Self>) -> Py<Self> {
        me
    }

    fn __await__(me: Py<Self>) -> Py<Self> {
        me
    }

    fn __next__(me: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        let nothing = me.py().None().into_bound(me.py());
        match Self::step(me, Input::Value(nothing)) {
            // Without an exception to be made: tasks of jobs always end so.
            Sent::Returned(value) if value.is_none() => Ok(None),
            sent => told(sent).map(Some),
        }
    }

    fn send<'py>(me: &Bound<'py, Self>, value: Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
        told(Self::step(me, Input::Value(value)))
    }

    #[pyo3(signature = (typ, val = None, tb = None))]
    fn throw<'py>(
        me: &Bound<'py, Self>,
        typ: &Bound<'py, PyAny>,
        val: Option<&Bound<'py, PyAny>>,
        tb: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let exception = shim::THROWN.call(me.py(), (typ, val, tb))?;
        told(Self::step(me, Input::Exception(exception.cast_into()?)))
    }

    /// Close a coroutine that nobody steps through any more.
    fn close(me: &Bound<'_, Self>) {
        let steps = me.get();
        let coroutine = steps.coroutine(me.py());
        if let Some(coroutine) = coroutine {
            held::undisturbed(me.py(), || ending::close(coroutine.bind(me.py())));
        }
        steps.set(Stage::Over);
        steps.errand.remove_task(me.as_ptr() as usize);
    }

    /// Its names, its frame and what it awaits are the coroutine's.
    fn __getattr__<'py>(
        me: &Bound<'py, Self>,
        name: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = me.py();
        match me.get().coroutine(py) {
            Some(coroutine) => coroutine.into_bound(py).getattr(name.cast()?),
            None => Err(PyAttributeError::new_err(name.clone().unbind())),
        }
    }

    /// The tasks that the job started and that have not ended.
    fn tasks(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.errand.tasks(py)
    }

    /// The asynchronous generators that the job began, in a set that holds them weakly; None where there are none.
    fn generators(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.errand.generators(py)
    }

    /// The task that runs it, so that the job does not end before that.
    fn is_run_by(me: &Bound<'_, Self>, task: Py<PyAny>) {
        let is_over = matches!(&*me.get().stage.lock(), Stage::Over);
        if !is_over {
            me.get().errand.add_task(me.as_ptr() as usize, task);
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.stage.try_lock().as_deref() {
            Some(Stage::Runs(coroutine) | Stage::Tidies(coroutine, _)) => visit.call(coroutine),
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        let before = std::mem::replace(&mut *self.stage.lock(), Stage::Over);
        drop(before);
    }
}

/// The steps of `coroutine` for a task that the current job starts on its loop. None where there is no such job: then it is
/// nobody's.
#[pyfunction]
#[pyo3(signature = (coroutine, /))]
pub(crate) fn steps_of_task(py: Python<'_>, coroutine: Py<PyAny>) -> PyResult<Option<Py<Steps>>> {
    let Some(errand) = run::errand_here(py, None)? else {
        return Ok(None);
    };
    Py::new(py, Steps::of_task(errand, coroutine)).map(Some)
}
