//! One run of a coroutine job on its manager's event loop: what belongs to it, and who is to know of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::asks::Asks;
use crate::core::sync::Mutex;
use crate::interrupt::names::name;
use crate::interrupt::slot::Slot;
use crate::interrupt::{call, thread};
use crate::py::house::House;
use crate::py::job::Job;

/// From the launch of a coroutine job to its end.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) house: Arc<House>,
    pub(crate) aim: u64,
    /// The thread of the loop, once that has taken the job in.
    slot: OnceLock<Arc<Slot>>,
    /// An end was asked for, or the job raised one itself.
    pub(super) struck: AtomicBool,
    /// And has come to it: it was cancelled, or struck, or a function was called that ends what it waits for.
    pub(super) landed: AtomicBool,
    /// What runs now is a step of the job's own coroutine, and not of what that started.
    in_main: AtomicBool,
    pub(super) asks: Mutex<Asks>,
    pub(super) parts: Mutex<Parts>,
}

/// The Python objects of the run. All go at its end.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) job: Option<Py<Job>>,
    pub(super) task: Option<Py<PyAny>>,
    /// What the task steps through, for `stack`.
    coroutine: Option<Py<PyAny>>,
    /// The tasks that the job started and that have not ended, by the address of their steps.
    tasks: HashMap<usize, Py<PyAny>>,
    /// A `WeakSet` of the asynchronous generators that it began.
    generators: Option<Py<PyAny>>,
    /// What ends the whole job, though a task or a callback raised it: `SystemExit`, `KeyboardInterrupt`.
    doom: Option<Py<PyBaseException>>,
}

impl Errand {
    pub(crate) fn new(job: &Bound<'_, Job>) -> Arc<Self> {
        Arc::new(Self {
            house: Arc::clone(&job.get().house),
            aim: job.get().record.aim(),
            slot: OnceLock::new(),
            struck: AtomicBool::new(false),
            landed: AtomicBool::new(false),
            in_main: AtomicBool::new(false),
            asks: Mutex::new(Asks::default()),
            parts: Mutex::new(Parts {
                job: Some(job.clone().unbind()),
                ..Parts::default()
            }),
        })
    }

    /// Its loop has taken it in.
    pub(crate) fn moved_in(&self, slot: &Arc<Slot>) {
        let _ = self.slot.set(Arc::clone(slot));
    }

    /// Where it runs; None while no loop has taken it in.
    pub(crate) fn slot(&self) -> Option<&Arc<Slot>> {
        self.slot.get()
    }

    /// Whether the calling thread is the one of its loop.
    pub(crate) fn is_on_this_thread(&self) -> bool {
        self.slot()
            .is_some_and(|slot| slot.thread().ident == thread::ident())
    }

    pub(crate) fn job<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Job>> {
        let parts = self.parts.lock();
        parts
            .job
            .as_ref()
            .map(|job| job.clone_ref(py).into_bound(py))
    }

    /// For the job itself, in one of its steps: whether what it raises ends the job, since its own coroutine raises it.
    pub(crate) fn is_in_main(&self) -> bool {
        self.in_main.load(Ordering::Acquire)
    }

    /// Its own coroutine is being stepped through, or not any more.
    pub(crate) fn set_in_main(&self, in_main: bool) {
        self.in_main.store(in_main, Ordering::Release);
    }

    pub(crate) fn set_task(&self, task: Py<PyAny>) {
        self.parts.lock().task = Some(task);
    }

    pub(crate) fn set_coroutine(&self, coroutine: Py<PyAny>) {
        let before = self.parts.lock().coroutine.replace(coroutine);
        drop(before);
    }

    pub(crate) fn coroutine(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let parts = self.parts.lock();
        parts.coroutine.as_ref().map(|it| it.clone_ref(py))
    }

    /// A task that the job started.
    pub(crate) fn add_task(&self, key: usize, task: Py<PyAny>) {
        let before = self.parts.lock().tasks.insert(key, task);
        drop(before);
    }

    pub(crate) fn remove_task(&self, key: usize) {
        let task = self.parts.lock().tasks.remove(&key);
        drop(task);
    }

    /// Tasks that have not ended.
    pub(crate) fn tasks(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let parts = self.parts.lock();
        parts
            .tasks
            .values()
            .map(|task| task.clone_ref(py))
            .collect()
    }

    pub(crate) fn generators(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let parts = self.parts.lock();
        parts.generators.as_ref().map(|set| set.clone_ref(py))
    }

    pub(crate) fn set_generators(&self, set: Py<PyAny>) {
        let before = self.parts.lock().generators.replace(set);
        drop(before);
    }

    /// Whether it began anything that has to be ended when it ends.
    pub(crate) fn left_something(&self) -> bool {
        let parts = self.parts.lock();
        !parts.tasks.is_empty() || parts.generators.is_some()
    }

    /// The job ends with this exception, wherever in it that was raised.
    pub(crate) fn doom(&self, exception: &Bound<'_, PyBaseException>) {
        {
            let mut parts = self.parts.lock();
            if parts.doom.is_none() {
                parts.doom = Some(exception.clone().unbind());
            }
        }
        self.cancel(exception.py());
    }

    /// Cancel its task. On its loop.
    pub(super) fn cancel(&self, py: Python<'_>) {
        let task = {
            let parts = self.parts.lock();
            parts.task.as_ref().map(|task| task.clone_ref(py))
        };
        let Some(task) = task else { return };
        let cancelled = task.getattr(py, name!(py, "cancel")).and_then(|cancel| {
            call::call(cancel.bind(py), &PyTuple::empty(py), None)
                .map_err(|error| PyErr::from_value(error.into_any()))
        });
        if let Err(error) = cancelled {
            error.write_unraisable(py, Some(task.bind(py)));
        }
    }

    pub(crate) fn take_doom(&self) -> Option<Py<PyBaseException>> {
        self.parts.lock().doom.take()
    }

    /// It has ended: nobody is to be cancelled or struck any more.
    pub(crate) fn end(&self, py: Python<'_>) {
        let class = self.asks.lock().close();
        let parts = std::mem::take(&mut *self.parts.lock());
        drop(class);
        let objects = [parts.task, parts.coroutine, parts.generators];
        let tasks = parts.tasks.into_values();
        for object in objects.into_iter().flatten().chain(tasks) {
            call::release(object.into_bound(py));
        }
        if let Some(doom) = parts.doom {
            call::release(doom.into_bound(py));
        }
        if let Some(job) = parts.job {
            call::release(job.into_bound(py));
        }
    }
}
