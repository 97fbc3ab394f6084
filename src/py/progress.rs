//! How far a job has come: what it reports, and how that is read.

use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyInt;

use super::current;
use super::job::Job;
use crate::core::clock;
use crate::core::progress::{Meter, Number, Report};

/// How far a job has come when this was made: what `job.progress` gives.
///
/// `done` and `total` (a number, or None where it is not known) in `unit`s ('it' unless the job says otherwise), `desc` (a str or
/// None), `rate` (units in a second, or None), `eta` (seconds until all is done, or None). It does not change: ask again. False
/// where nothing was reported yet. In the job itself it is called to report.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct Progress {
    meter: Option<Meter>,
    is_over: bool,
    /// Where it is called: in the job itself.
    job: Option<Py<Job>>,
}

/// Feeds the progress of a job, for as long as it lives or until it is closed; a job has one at a time.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct ProgressBar {
    job: Py<Job>,
    is_open: std::sync::atomic::AtomicBool,
}

/// What a job keeps of its progress.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    meter: Option<Meter>,
    has_bar: bool,
}

/// A count that was given: 0 or more, whole if it is.
fn number(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Number> {
    let wrong = |_| {
        let kind = value.get_type();
        let kind = kind
            .qualname()
            .map_or_else(|_| "?".to_owned(), |kind| kind.to_string());
        PyTypeError::new_err(format!("{name} must be a number, not {kind}"))
    };
    // Whole numbers of numpy's as well; one beyond what is counted here is as good as a real one.
    let whole = if let Ok(whole) = value.cast::<PyInt>() {
        whole.extract().ok()
    } else {
        let index = value.call_method0(pyo3::intern!(value.py(), "__index__"));
        index.ok().and_then(|index| index.extract().ok())
    };
    let number = match whole {
        Some(whole) => Number::Whole(whole),
        None => Number::Real(value.extract().map_err(wrong)?),
    };
    let real = number.value();
    if real.is_nan() || real < 0.0 {
        return Err(PyValueError::new_err(format!(
            "{name} must be 0 or more; got {real}"
        )));
    }
    Ok(number)
}

fn report_of(
    done: &Bound<'_, PyAny>,
    total: Option<&Bound<'_, PyAny>>,
    desc: Option<&str>,
    unit: Option<&str>,
) -> PyResult<Report> {
    let done = number("done", done)?;
    if done.value().is_infinite() {
        return Err(PyValueError::new_err("done must be a finite number"));
    }
    let total = total.map(|total| number("total", total)).transpose()?;
    Ok(Report {
        done,
        // Endless is as good as not known.
        total: total.filter(|total| total.value().is_finite()),
        desc: desc.map(Arc::from),
        unit: unit.map(Arc::from),
    })
}

impl Job {
    fn report_progress(&self, report: Report) {
        let now = clock::now();
        let started = self.record.started().unwrap_or(now);
        self.with_extras(|extras| {
            let meter = &mut extras.progress.get_or_insert_default().meter;
            match meter {
                Some(meter) => meter.report(report, now),
                None => *meter = Some(Meter::new(report, started, now)),
            }
        });
    }
}

#[pymethods]
impl Job {
    /// How far it has come, as it reported last: a `Progress` with `done`, `total`, `unit`, `desc`, `rate` and `eta`; None
    /// where nothing was reported. Does not block.
    ///
    /// In the job, `current_job().progress(done, total=None, desc=None, unit=None)` reports; what is None stays as it was. With
    /// less done than before something new begins. `rjobs.track(...)` and bars of tqdm report by themselves.
    #[getter]
    fn progress(me: &Bound<'_, Self>) -> PyResult<Option<Progress>> {
        let job = me.get();
        let meter = job
            .held
            .lock()
            .extras
            .as_ref()
            .and_then(|extras| extras.progress.as_ref()?.meter.clone());
        let is_inside = current::job(me.py())?.is_some_and(|job| job.is(me));
        if meter.is_none() && !is_inside {
            return Ok(None);
        }
        Ok(Some(Progress {
            meter,
            is_over: job.is_over(),
            job: is_inside.then(|| me.clone().unbind()),
        }))
    }

    /// For `track` and tqdm: what feeds the progress, or None while another does.
    fn _bar(me: &Bound<'_, Self>) -> Option<ProgressBar> {
        let is_free = me.get().with_extras(|extras| {
            let has_bar = &mut extras.progress.get_or_insert_default().has_bar;
            !std::mem::replace(has_bar, true)
        });
        is_free.then(|| ProgressBar {
            job: me.clone().unbind(),
            is_open: true.into(),
        })
    }
}

#[pymethods]
impl Progress {
    /// What is done: an int where it was reported as one.
    #[getter]
    fn done(&self) -> Count {
        Count(self.meter.as_ref().map_or(Number::Whole(0), Meter::done))
    }

    /// What there is to do, or None where that is not known.
    #[getter]
    fn total(&self) -> Option<Count> {
        self.meter.as_ref()?.total().map(Count)
    }

    /// What is counted.
    #[getter]
    fn unit(&self) -> &str {
        let unit = self.meter.as_ref().and_then(Meter::unit);
        unit.map_or("it", |unit| unit)
    }

    /// What it is about, or None.
    #[getter]
    fn desc(&self) -> Option<&str> {
        self.meter.as_ref()?.desc().map(|desc| &**desc)
    }

    /// Units in a second, the last ones counting more, as tqdm has it; the plain average when all is done; None where it cannot be
    /// said yet.
    #[getter]
    fn rate(&self) -> Option<f64> {
        self.meter.as_ref()?.rate(self.is_over)
    }

    /// Seconds until all is done, at this rate; None where that cannot be said.
    #[getter]
    fn eta(&self) -> Option<f64> {
        self.meter.as_ref()?.eta(self.is_over)
    }

    /// In the job: report. What is None stays as it was. Raises `RuntimeError` in any other place, `TypeError` or `ValueError` for
    /// what is no number of 0 or more. Does not block.
    #[pyo3(signature = (done, total = None, desc = None, unit = None))]
    fn __call__(
        &self,
        done: &Bound<'_, PyAny>,
        total: Option<&Bound<'_, PyAny>>,
        desc: Option<&str>,
        unit: Option<&str>,
    ) -> PyResult<()> {
        let Some(job) = &self.job else {
            return Err(pyo3::exceptions::PyRuntimeError::new_err(
                "progress() is for the code of the job itself: call it as rjobs.current_job().progress() in there",
            ));
        };
        let job = job.bind(done.py());
        Job::must_be_inside(job, "progress()")?;
        job.get()
            .report_progress(report_of(done, total, desc, unit)?);
        Ok(())
    }

    fn __bool__(&self) -> bool {
        self.meter.is_some()
    }

    fn __repr__(&self) -> String {
        let show = |count: Count| match count.0 {
            Number::Whole(number) => number.to_string(),
            Number::Real(number) => number.to_string(),
        };
        let total = self
            .total()
            .map(|total| format!("/{}", show(total)))
            .unwrap_or_default();
        let unit = self.unit().escape_debug();
        let parts = [
            Some(format!("{}{total} {unit}", show(self.done()))),
            self.desc().map(|desc| format!("'{}'", desc.escape_debug())),
            self.rate().map(|rate| format!("{rate:.3} in a second")),
            self.eta().map(|eta| format!("{eta:.1} s left")),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        format!("<Progress {}>", parts.join(", "))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.job)
    }
}

/// A number on its way to Python.
#[derive(Debug, Clone, Copy)]
struct Count(Number);

impl<'py> IntoPyObject<'py> for Count {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        Ok(match self.0 {
            Number::Whole(number) => number.into_pyobject(py)?.into_any(),
            Number::Real(number) => number.into_pyobject(py)?.into_any(),
        })
    }
}

impl ProgressBar {
    fn end(&self) {
        if self
            .is_open
            .swap(false, std::sync::atomic::Ordering::AcqRel)
        {
            self.job.get().with_extras(|extras| {
                extras.progress.get_or_insert_default().has_bar = false;
            });
        }
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.end();
    }
}

#[pymethods]
impl ProgressBar {
    /// Report, from any thread; nothing is done when it was closed. Raises as `progress()` does for what is no number.
    #[pyo3(signature = (done, total = None, desc = None, unit = None))]
    fn report(
        &self,
        done: &Bound<'_, PyAny>,
        total: Option<&Bound<'_, PyAny>>,
        desc: Option<&str>,
        unit: Option<&str>,
    ) -> PyResult<()> {
        let report = report_of(done, total, desc, unit)?;
        if self.is_open.load(std::sync::atomic::Ordering::Acquire) {
            self.job.get().report_progress(report);
        }
        Ok(())
    }

    /// Leave the progress to others.
    fn close(&self) {
        self.end();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.job)
    }
}
