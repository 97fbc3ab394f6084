//! The values that a job gives before its end: `for x in job`, and `current_job().send(x)`.

use std::sync::Arc;
use std::time::Instant;

use pyo3::exceptions::{PyRuntimeError, PyStopAsyncIteration, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::job::Job;
use super::wait::{self, Patience};
use super::{current, errors, held, shim};
use crate::core::latch::Waiter;
use crate::core::values::{Given, Taken, Values};
use crate::interrupt::{call, pending};

/// Those of one job. A bell is a callable; one that returns False rang for nobody.
pub(crate) type Stream = Values<Py<PyAny>, Py<PyAny>>;

/// How many may wait to be read, unless told otherwise. Enough that neither side waits for the other at every value, few
/// enough that they are no burden. The number is arbitrary.
const BOUND: usize = 1_000;

/// Who gives a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Giver {
    /// `send`. Where `stop()` was called it raises, and gives nothing.
    Send,
    /// A generator. It has handed its value over, which is given first if there is room; then it is told.
    Generator,
}

/// Why a value was not given.
enum Trouble<'py> {
    /// There is no room; here it is back, and what the look was based on.
    Full(Bound<'py, PyAny>, u64),
    Error(PyErr),
}

impl Job {
    /// Its values, if it has or had any, or is asked for them.
    pub(super) fn stream_if_any(&self) -> Option<Arc<Stream>> {
        self.held.lock().extras.as_ref()?.stream.clone()
    }

    /// Whether it has a value to give, and nobody reads those that wait already.
    pub(super) fn waits_for_a_reader(&self) -> bool {
        !self.is_over() && self.stream_if_any().is_some_and(|stream| stream.is_full())
    }

    /// Its values.
    pub(super) fn stream(me: &Bound<'_, Self>) -> Arc<Stream> {
        let job = me.get();
        let stream = Self::link(me, |extras| {
            let bound = extras.buffersize.unwrap_or(BOUND);
            Arc::clone(
                extras
                    .stream
                    .get_or_insert_with(|| Arc::new(Values::new(bound))),
            )
        });
        if job.is_over() && job.house.is_here() {
            // Made after the end: nobody else would say so.
            ring_all(me.py(), &stream, stream.end());
        }
        stream
    }

    /// Tell `waiter` when the job ends; false when it has ended already. As somebody waits for that, nobody may be reading:
    /// what the job gives is not bounded until then.
    pub(crate) fn watch(&self, py: Python<'_>, waiter: Waiter) -> bool {
        let watched = self.record.watch(waiter);
        if watched {
            self.look_again(py);
        }
        watched
    }

    /// Have those who wait for room look whether somebody waits for the end, or has asked for it.
    pub(super) fn look_again(&self, py: Python<'_>) {
        if let Some(stream) = self.stream_if_any() {
            ring_all(py, &stream, stream.poke());
        }
    }

    /// Somebody follows the job to its end, for as long as what this returns lives.
    pub(super) fn follow_to_the_end<'a>(&'a self, py: Python<'_>) -> Following<'a> {
        self.with_extras(|extras| extras.followers += 1);
        self.look_again(py);
        Following(self)
    }

    /// Whether somebody waits for the end, and for what the job does until then: not who kills it.
    fn is_awaited(&self) -> bool {
        let (is_killed, is_followed) = self.held.lock().extras.as_ref().map_or_else(
            || (false, false),
            |extras| {
                let is_followed = !extras.callbacks.is_empty()
                    || !extras.dependents.is_empty()
                    || extras.followers > 0;
                (!extras.kills.is_empty(), is_followed)
            },
        );
        !is_killed && (is_followed || self.record.is_watched() || self.house.is_awaited())
    }

    /// Give a value, or say why not; does not block.
    fn try_give<'py>(
        me: &Bound<'py, Self>,
        stream: &Stream,
        value: Bound<'py, PyAny>,
        giver: Giver,
    ) -> Result<(), Trouble<'py>> {
        let (py, job) = (me.py(), me.get());
        let mut is_stopping = job.stop_requested();
        if is_stopping && giver == Giver::Send {
            return Err(Trouble::Error(Self::stopped(me)));
        }
        let mut outcome = stream.give(value.unbind(), true);
        let mut pokes = 0;
        if !is_stopping && let Given::Full(back) = outcome {
            // Before it looks: what changes after that counts as a poke.
            pokes = stream.pokes();
            is_stopping = job.stop_requested();
            if is_stopping && giver == Giver::Send {
                call::release(back.into_bound(py));
                return Err(Trouble::Error(Self::stopped(me)));
            }
            let may_block = giver == Giver::Generator || !is_in_loop(py).map_err(Trouble::Error)?;
            outcome = stream.give(back, is_stopping || (may_block && !job.is_awaited()));
        }
        match outcome {
            Given::Yes(bell) => ring(py, stream, bell),
            Given::Ended(back) => {
                call::release(back.into_bound(py));
                return Err(Trouble::Error(PyRuntimeError::new_err(format!(
                    "{} has ended, and gives no more values",
                    job.title(py)
                ))));
            }
            Given::Short(back) => {
                call::release(back.into_bound(py));
                return Err(Trouble::Error(errors::no_memory()));
            }
            Given::Full(back) if is_stopping => call::release(back.into_bound(py)),
            Given::Full(back) => return Err(Trouble::Full(back.into_bound(py), pokes)),
        }
        if is_stopping {
            return Err(Trouble::Error(Self::stopped(me)));
        }
        Ok(())
    }

    /// Give a value; blocks while there is no room.
    pub(super) fn give<'py>(
        me: &Bound<'py, Self>,
        stream: &Stream,
        mut value: Bound<'py, PyAny>,
        giver: Giver,
    ) -> PyResult<()> {
        let mut blocked = None;
        loop {
            let pokes = match Self::try_give(me, stream, value, giver) {
                Ok(()) => return Ok(()),
                Err(Trouble::Error(error)) => return Err(error),
                Err(Trouble::Full(back, pokes)) => {
                    value = back;
                    pokes
                }
            };
            blocked.get_or_insert_with(|| stream.block());
            if let Err(error) = pause(me.py(), |until| {
                stream.wait_for_room(pokes, until).then_some(())
            }) {
                call::release(value);
                return Err(error);
            }
        }
    }

    /// What its readers get when every value was read: an error, or nothing.
    fn end_of_values(&self, py: Python<'_>) -> PyResult<()> {
        self.saw_end();
        let Err(error) = self.value(py) else {
            return Ok(());
        };
        if error.is_instance_of::<PyStopIteration>(py)
            || error.is_instance_of::<PyStopAsyncIteration>(py)
        {
            // It would pass for the end of the values.
            let title = self.title(py);
            let told = PyRuntimeError::new_err(format!("{title} raised {error}"));
            told.set_cause(py, Some(error));
            return Err(told);
        }
        Err(error)
    }
}

/// Block in `attempt` until it gives something. A kill that came meanwhile is raised here, before a value is given or taken.
fn pause(
    py: Python<'_>,
    attempt: impl Fn(Option<Instant>) -> Option<()> + Send + Sync,
) -> PyResult<()> {
    wait::block(py, Patience::ENDLESS, attempt)?;
    pending::land(py)
}

/// Somebody follows a job to its end.
#[derive(Debug)]
pub(super) struct Following<'a>(&'a Job);

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.0.with_extras(|extras| extras.followers -= 1);
    }
}

/// Whether the calling thread runs an event loop: it is not to be blocked.
fn is_in_loop(py: Python<'_>) -> PyResult<bool> {
    shim::IS_IN_LOOP.call(py, ())?.is_truthy()
}

/// Ring a bell; where nobody hears it, another.
fn ring(py: Python<'_>, stream: &Stream, bell: Option<Py<PyAny>>) {
    if let Some(bell) = bell {
        ring_all(py, stream, vec![bell]);
    }
}

/// Ring bells. A kill of whoever gives or takes must not land in the event loop's code.
pub(super) fn ring_all(py: Python<'_>, stream: &Stream, mut bells: Vec<Py<PyAny>>) {
    if bells.is_empty() {
        return;
    }
    held::undisturbed(py, || {
        while let Some(bell) = bells.pop() {
            let bell = bell.into_bound(py);
            let rung = call::call(&bell, &pyo3::types::PyTuple::empty(py), None);
            match rung.map(|answer| answer.is(pyo3::types::PyBool::new(py, false))) {
                Ok(false) => {}
                Ok(true) => bells.extend(stream.pass_on()),
                Err(error) => {
                    PyErr::from_value(error.into_any()).write_unraisable(py, Some(&bell));
                }
            }
        }
    });
}

/// Iterates over the values of a job: what `iter(job)` returns.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct JobValues {
    job: Py<Job>,
    stream: Arc<Stream>,
}

impl JobValues {
    pub(super) fn new(job: &Bound<'_, Job>) -> Self {
        Self {
            stream: Job::stream(job),
            job: job.clone().unbind(),
        }
    }

    /// For a reader: not the job itself, which would wait for its own end.
    fn for_reader(job: &Bound<'_, Job>) -> PyResult<Self> {
        if current::job(job.py())?.is_some_and(|current| current.is(job)) {
            let title = job.get().title(job.py());
            return Err(PyRuntimeError::new_err(format!(
                "{title} cannot read its own values: it would wait for its own end"
            )));
        }
        job.get().with_extras(|extras| extras.was_read = true);
        Ok(Self::new(job))
    }

    fn take(&self, py: Python<'_>) -> Taken<Py<PyAny>, Py<PyAny>> {
        if self.job.get().house.is_here() {
            let taken = self.stream.take();
            if let Taken::Value(value, bell) = taken {
                ring(py, &self.stream, bell);
                return Taken::Value(value, None);
            }
            return taken;
        }
        // The child of a fork: there is what there is.
        self.stream
            .try_take()
            .map_or(Taken::End, |value| Taken::Value(value, None))
    }
}

#[pymethods]
impl JobValues {
    fn __iter__(me: PyRef<'_, Self>) -> PyRef<'_, Self> {
        me
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        loop {
            match self.take(py) {
                Taken::Value(value, _) => return Ok(Some(value)),
                Taken::End => return self.job.get().end_of_values(py).map(|()| None),
                Taken::Nothing => {}
            }
            let stream = &self.stream;
            pause(py, |until| stream.wait_for_value(until).then_some(()))?;
        }
    }

    /// For event loops: a tuple of the next value, or None where there is none yet. Raises at the end as the job's end has it,
    /// or `StopAsyncIteration`. Does not block.
    fn _take(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>,)>> {
        match self.take(py) {
            Taken::Value(value, _) => Ok(Some((value,))),
            Taken::Nothing => Ok(None),
            Taken::End => {
                self.job.get().end_of_values(py)?;
                Err(PyStopAsyncIteration::new_err(()))
            }
        }
    }

    /// Have `bell()` called when `_take()` is worth a try: a number to give it up by, or None where it is now.
    fn _await_value(&self, bell: Py<PyAny>) -> Option<u64> {
        self.stream.await_value(bell).map_err(drop).ok()
    }

    /// Give a value of the job, which a generator has handed over: None, or where there is no room a number for `_await_room()`.
    /// Raises `JobKilled` where `stop()` was called. Does not block.
    fn _give(&self, value: Bound<'_, PyAny>) -> PyResult<Option<u64>> {
        let job = self.job.bind(value.py());
        match Job::try_give(job, &self.stream, value, Giver::Generator) {
            Ok(()) => Ok(None),
            Err(Trouble::Full(_, pokes)) => Ok(Some(pokes)),
            Err(Trouble::Error(error)) => Err(error),
        }
    }

    /// Have `bell()` called when `_give()` is worth another try: a number to give it up by, or None where it is now.
    fn _await_room(&self, bell: Py<PyAny>, pokes: u64) -> Option<u64> {
        self.stream.await_room(bell, pokes).map_err(drop).ok()
    }

    /// Who waited for a bell does not any more: it is taken back, or where it was rung another is rung.
    fn _give_up(&self, py: Python<'_>, number: u64) {
        match self.stream.give_up(number) {
            Some(bell) => drop(bell),
            None => ring_all(py, &self.stream, self.stream.pass_on()),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The values are the job's, and visited once.
        visit.call(&self.job)
    }
}

#[pymethods]
impl Job {
    /// In the job: give a value to whoever reads `for x in job` or `async for x in job`.
    ///
    /// Each value goes to one reader, in the order in which they were given. Blocks, without holding the interpreter, while
    /// `buffersize` values (an option, default 1,000) wait to be read and nobody waits for the job's end; a kill ends that.
    /// In a thread that runs an event loop it never blocks, and the bound does not hold. Raises `JobKilled` when `stop()` was
    /// called, and the value is not given; `RuntimeError` in any other place than the job.
    #[pyo3(signature = (value, /))]
    fn send<'py>(me: &Bound<'py, Self>, value: Bound<'py, PyAny>) -> PyResult<()> {
        Self::must_be_inside(me, "send()")?;
        let stream = Self::stream(me);
        Self::give(me, &stream, value, Giver::Send)
    }

    /// Iterate over the values that the job gives: those that it sends, and those that a generator function yields.
    ///
    /// Each step blocks until there is one; Ctrl-C raises `KeyboardInterrupt` here within 100 ms, and the job goes on. The
    /// iteration ends when the job has ended and every value was read, and raises what `get()` raises. Several readers share
    /// the values; those that nobody read are kept with the job. Raises `RuntimeError` in the job itself.
    fn __iter__(me: &Bound<'_, Self>) -> PyResult<JobValues> {
        JobValues::for_reader(me)
    }

    /// The same on the running event loop. A step that is cancelled loses no value.
    fn __aiter__<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        shim::ASYNC_VALUES.call(me.py(), (JobValues::for_reader(me)?,))
    }
}
