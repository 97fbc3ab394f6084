//! What one job runs, held until it has run.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFunction, PyString, PyTuple};

use super::{shim, text};
use crate::interrupt::call;
use crate::interrupt::names::name;
use crate::interrupt::process::Order;
use std::sync::Arc;

/// What a job is, which says what runs it. Seen when the job is made: it has let go of what it runs when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A call or code: a worker.
    Call,
    /// A call of a coroutine function: the manager's event loop.
    Coroutine,
    /// An external command: its process.
    Command,
    /// A function over many items: several workers.
    Group,
}

/// A call, and the context it runs in. Released as a whole when the job ends.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) callable: Py<PyAny>,
    pub(crate) args: Py<PyTuple>,
    pub(crate) kwargs: Option<Py<PyDict>>,
    pub(crate) context: Py<PyAny>,
    /// For code: the namespaces it runs in.
    pub(crate) namespaces: Option<Box<(Py<PyAny>, Py<PyAny>)>>,
    /// An external command: it runs instead of the callable, which makes the result of how it ended.
    pub(crate) order: Option<Arc<Order>>,
}

impl Work {
    /// The same, for who runs it: the job shows it until it has ended.
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            callable: self.callable.clone_ref(py),
            args: self.args.clone_ref(py),
            kwargs: self.kwargs.as_ref().map(|kwargs| kwargs.clone_ref(py)),
            context: self.context.clone_ref(py),
            namespaces: self
                .namespaces
                .as_ref()
                .map(|both| Box::new((both.0.clone_ref(py), both.1.clone_ref(py)))),
            order: self.order.clone(),
        }
    }

    /// For a job that has ended and can be run again: without the context, which is the submitter's. The context is for the
    /// caller to release.
    pub(crate) fn without_context(&mut self, py: Python<'_>) -> Py<PyAny> {
        std::mem::replace(&mut self.context, py.None())
    }

    /// Drop it on a worker, where finalizers may run at the end of the interpreter.
    pub(crate) fn release(self, py: Python<'_>) {
        call::release(self.callable.into_bound(py));
        call::release(self.args.into_bound(py));
        if let Some(kwargs) = self.kwargs {
            call::release(kwargs.into_bound(py));
        }
        call::release(self.context.into_bound(py));
        if let Some(namespaces) = self.namespaces {
            let (globals, locals) = *namespaces;
            call::release(globals.into_bound(py));
            call::release(locals.into_bound(py));
        }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.callable)?;
        visit.call(&self.args)?;
        visit.call(&self.kwargs)?;
        visit.call(&self.context)?;
        if let Some(namespaces) = &self.namespaces {
            visit.call(&namespaces.0)?;
            visit.call(&namespaces.1)?;
        }
        Ok(())
    }
}

/// What a job is called, kept after its function is released.
#[derive(Debug)]
pub(crate) struct Label {
    /// Short: the function's qualified name, or the first line of the code.
    pub(crate) name: Py<PyString>,
    strform: Strform,
}

#[derive(Debug)]
enum Strform {
    /// A Python function: its `repr` is made when asked for, from its name and this address.
    Function(usize),
    /// The `repr` of another callable.
    Callable(Py<PyString>),
    Code(Py<PyString>),
}

/// Characters of a callable's `repr` that are kept.
const REPR_LIMIT: usize = 500;
/// Wrappers around a function that are looked into.
const DEEPEST: usize = 20;
/// Characters of code that serve as a name.
const NAME_LIMIT: usize = 60;

impl Label {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        let strform = match &self.strform {
            Strform::Function(address) => Strform::Function(*address),
            Strform::Callable(text) => Strform::Callable(text.clone_ref(py)),
            Strform::Code(text) => Strform::Code(text.clone_ref(py)),
        };
        Self {
            name: self.name.clone_ref(py),
            strform,
        }
    }

    /// For a callable. Its `repr` may be anybody's code: what that raises is not the job's business.
    pub(crate) fn of_callable(callable: &Bound<'_, PyAny>) -> Self {
        let py = callable.py();
        let name = name_of(callable).unwrap_or_else(|| name!(py, "?").clone());
        let strform = if callable.is_instance_of::<PyFunction>() {
            Strform::Function(callable.as_ptr() as usize)
        } else {
            let text = callable.repr().map_or_else(
                |_| format!("<{name} whose repr raises>"),
                |text| cut(&text::lossy(&text), REPR_LIMIT),
            );
            Strform::Callable(PyString::new(py, &text).unbind())
        };
        Self {
            name: name.unbind(),
            strform,
        }
    }

    /// For code.
    pub(crate) fn of_code(source: &Bound<'_, PyString>) -> Self {
        let text = text::lossy(source);
        let line = text
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or_default();
        let name = PyString::new(source.py(), &cut(line, NAME_LIMIT)).unbind();
        Self {
            name,
            strform: Strform::Code(source.clone().unbind()),
        }
    }

    /// What `str(job)` shows: the name of the function, or the code.
    pub(crate) fn text<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        match &self.strform {
            Strform::Code(code) => code.bind(py).clone(),
            Strform::Function(_) | Strform::Callable(_) => self.name.bind(py).clone(),
        }
    }

    /// The same as `IPython` has it: the `repr` of the function, or the code.
    pub(crate) fn strform<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        match &self.strform {
            Strform::Callable(text) | Strform::Code(text) => text.bind(py).clone(),
            Strform::Function(address) => {
                let name = text::lossy(self.name.bind(py));
                PyString::new(py, &format!("<function {name} at {address:#x}>"))
            }
        }
    }
}

/// What a callable is called: as the function that it wraps, where it is a `functools.partial`; else as its class, where it
/// has no name.
fn name_of<'py>(callable: &Bound<'py, PyAny>) -> Option<Bound<'py, PyString>> {
    let py = callable.py();
    let named = |thing: &Bound<'py, PyAny>| {
        [name!(py, "__qualname__"), name!(py, "__name__")]
            .into_iter()
            .find_map(|name| thing.getattr(name).ok()?.cast_into::<PyString>().ok())
    };
    let mut inner = callable.clone();
    for _ in 0..DEEPEST {
        if let Some(name) = named(&inner) {
            return Some(name);
        }
        let partial = shim::PARTIAL.get(py).ok()?;
        if !inner.is_instance(partial).unwrap_or(false) {
            break;
        }
        inner = inner.getattr(name!(py, "func")).ok()?;
    }
    inner.get_type().qualname().ok()
}

fn cut(text: &str, limit: usize) -> String {
    if text.chars().nth(limit).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit - 1).collect();
    // Not in the middle of an emoji of several parts.
    kept.trim_end_matches('\u{200d}').to_owned() + "…"
}
