//! How far a job has come: what it reports, and how that is read.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyInt;

use super::current;
use super::job::Job;
use super::seconds;
use crate::core::bars::Bars;
use crate::core::clock::{self, Tick};
use crate::core::progress::{Meter, Number, Report};
use crate::interrupt::names::name;

/// How far a job or a group has come when this was made: what `job.progress` gives.
///
/// `done` and `total` (a number, or None where it is not known) in `unit`s ('it' unless the job says otherwise), `desc` (a str or
/// None), `rate` (units in a second, or None), `eta` (seconds until all is done, or None). It does not change: ask again. False
/// where nothing was reported yet. In the job itself it is called to report.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct Progress {
    reading: Option<Reading>,
    /// Where it is called: in the job itself.
    job: Option<Py<Job>>,
}

/// A meter, or the counts of a group, as they were when it was made.
#[derive(Debug)]
struct Reading {
    done: Number,
    total: Option<Number>,
    unit: Option<Arc<str>>,
    desc: Option<Arc<str>>,
    rate: Option<f64>,
    eta: Option<f64>,
}

/// One bar of a job's, for as long as it lives or until it is closed. The outermost feeds the job's progress, the others are shown
/// beside it.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct ProgressBar {
    job: Py<Job>,
    number: u64,
    is_open: std::sync::atomic::AtomicBool,
}

impl Reading {
    fn of(meter: &Meter, is_over: bool) -> Self {
        Self {
            done: meter.done(),
            total: meter.total(),
            unit: meter.unit().cloned(),
            desc: meter.desc().cloned(),
            rate: meter.rate(is_over),
            eta: meter.eta(is_over),
        }
    }
}

impl Progress {
    /// How far a group is: so many items in `elapsed` seconds.
    #[expect(
        clippy::cast_precision_loss,
        reason = "rates need no more than 53 bits"
    )]
    pub(crate) fn of_items(
        group: &Bound<'_, Job>,
        done: usize,
        total: Option<usize>,
        elapsed: f64,
    ) -> PyResult<Self> {
        let count = |number: usize| Number::Whole(i64::try_from(number).unwrap_or(i64::MAX));
        let rate = (done > 0 && elapsed > 0.0).then(|| done as f64 / elapsed);
        let left = total.map(|total| total.saturating_sub(done));
        let is_over = group.get().is_over();
        let reading = Reading {
            done: count(done),
            total: total.map(count),
            unit: None,
            desc: None,
            rate,
            eta: match left {
                Some(0) => Some(0.0),
                Some(left) if !is_over => rate.map(|rate| left as f64 / rate),
                _ => None,
            },
        };
        let is_inside = current::job(group.py())?.is_some_and(|job| job.is(group));
        Ok(Self {
            reading: Some(reading),
            job: is_inside.then(|| group.clone().unbind()),
        })
    }
}

/// A count that was given: 0 or more, whole if it is.
fn number(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Number> {
    // Whole numbers of numpy's as well; one beyond what is counted here is as good as a real one.
    let whole = if let Ok(whole) = value.cast::<PyInt>() {
        whole.extract().ok()
    } else {
        let index = value.call_method0(name!(value.py(), "__index__"));
        index.ok().and_then(|index| index.extract().ok())
    };
    let number = match whole {
        Some(whole) => Number::Whole(whole),
        None => Number::Real(seconds::number_or_nan(name, "a number", value)?),
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
    /// Change its bars; `started` and `now` are for what is reported.
    fn with_bars<R>(&self, change: impl FnOnce(&mut Bars, Tick, Tick) -> R) -> R {
        let now = clock::now();
        let started = self.record.started().unwrap_or(now);
        self.with_extras(|extras| change(extras.progress.get_or_insert_default(), started, now))
    }

    /// Read its bars, where it has some.
    fn read_bars<R>(&self, read: impl FnOnce(&Bars) -> R) -> Option<R> {
        let held = self.held.lock();
        Some(read(held.extras.as_ref()?.progress.as_ref()?))
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
        let is_over = me.get().is_over();
        let reading = me
            .get()
            .read_bars(|bars| bars.meter().map(|meter| Reading::of(meter, is_over)))
            .flatten();
        let is_inside = current::job(me.py())?.is_some_and(|job| job.is(me));
        if reading.is_none() && !is_inside {
            return Ok(None);
        }
        Ok(Some(Progress {
            reading,
            job: is_inside.then(|| me.clone().unbind()),
        }))
    }

    /// For displays: the bars inside of that progress that are open now, a list of `Progress`, outermost first.
    #[getter(_inner_progress)]
    fn inner_progress(&self) -> Vec<Progress> {
        let is_over = self.is_over();
        let readings = self.read_bars(|bars| {
            let readings = bars.inner().map(|meter| Reading::of(meter, is_over));
            readings.collect::<Vec<_>>()
        });
        let inner = readings.unwrap_or_default().into_iter();
        inner
            .map(|reading| Progress {
                reading: Some(reading),
                job: None,
            })
            .collect()
    }

    /// For `track` and tqdm: a new bar. In a group, whose own progress is that of its items, it is an inner one.
    fn _bar(me: &Bound<'_, Self>) -> ProgressBar {
        let is_group = me.get().group.get().is_some();
        ProgressBar {
            job: me.clone().unbind(),
            number: me.get().with_bars(|bars, _, _| bars.open(is_group)),
            is_open: true.into(),
        }
    }
}

#[pymethods]
impl Progress {
    /// What is done: an int where it was reported as one.
    #[getter]
    fn done(&self) -> Count {
        let reading = self.reading.as_ref();
        Count(reading.map_or(Number::Whole(0), |reading| reading.done))
    }

    /// What there is to do, or None where that is not known.
    #[getter]
    fn total(&self) -> Option<Count> {
        self.reading.as_ref()?.total.map(Count)
    }

    /// What is counted.
    #[getter]
    fn unit(&self) -> &str {
        let unit = self
            .reading
            .as_ref()
            .and_then(|reading| reading.unit.as_deref());
        unit.unwrap_or("it")
    }

    /// What it is about, or None.
    #[getter]
    fn desc(&self) -> Option<&str> {
        self.reading.as_ref()?.desc.as_deref()
    }

    /// Units in a second, the last ones counting more, as tqdm has it; the plain average when all is done; None where it cannot be
    /// said yet.
    #[getter]
    fn rate(&self) -> Option<f64> {
        self.reading.as_ref()?.rate
    }

    /// Seconds until all is done, at this rate; None where that cannot be said.
    #[getter]
    fn eta(&self) -> Option<f64> {
        self.reading.as_ref()?.eta
    }

    /// In the job: report. What is None stays as it was. In an item of a group it changes nothing, since the progress is that of the
    /// items. Raises `RuntimeError` in any other place, `TypeError` or `ValueError` for
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
        let report = report_of(done, total, desc, unit)?;
        job.get()
            .with_bars(|bars, started, now| bars.report(report, started, now));
        Ok(())
    }

    fn __bool__(&self) -> bool {
        self.reading.is_some()
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
            self.job
                .get()
                .with_bars(|bars, _, _| bars.close(self.number));
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
            self.job
                .get()
                .with_bars(|bars, started, now| bars.report_of(self.number, report, started, now));
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
