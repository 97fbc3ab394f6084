//! Python strings for names of attributes, made once each.

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::core::once::Once;

/// One of them; see `name!`.
#[derive(Debug)]
pub(crate) struct Name {
    text: &'static str,
    made: Once<Py<PyString>>,
}

impl Name {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self {
            text,
            made: Once::new(),
        }
    }

    #[inline]
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        let make = || PyString::intern(py, self.text).unbind();
        self.made.get_or_make(make).bind(py)
    }
}

/// `PyO3`'s `intern!`, for which nobody ever waits: see [`Once`].
macro_rules! name {
    ($py:expr, $text:literal) => {{
        static NAME: $crate::interrupt::names::Name = $crate::interrupt::names::Name::new($text);
        NAME.get($py)
    }};
}
pub(crate) use name;
