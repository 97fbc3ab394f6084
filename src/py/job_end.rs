//! How jobs end, once: what is stored, what is released, who is told.

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

use super::again::{self, Sequel};
use super::fault::{Place, contained, may_happen};
use super::job::{Extras, Job};
use super::outcome::Outcome;
use super::values::ring_all;
use super::{gates, held, shim};
use crate::core::clock::Tick;
use crate::core::state::State;
use crate::interrupt::{call, collector};

/// What waits for the end of a job.
#[derive(Default)]
struct Linked {
    callbacks: Vec<Py<PyAny>>,
    dependents: Vec<Py<Job>>,
}

impl Job {
    /// End a job that has not started: it never runs. False when it has started or ended.
    pub(crate) fn end_queued(me: &Bound<'_, Self>, to: State) -> bool {
        let job = me.get();
        if !job.house.is_here() || !job.record.end(State::Queued, to, crate::core::clock::now()) {
            return false;
        }
        job.leave_backlog();
        job.release_context(me.py());
        Self::after_end(me);
        true
    }

    /// Change what few jobs have, for what may refer back to the job: from then on the collector has to see it.
    pub(crate) fn link<R>(me: &Bound<'_, Self>, change: impl FnOnce(&mut Extras) -> R) -> R {
        let result = me.get().with_extras(change);
        // Before the end the job cannot be garbage, and at the end the links are seen.
        if me.get().record.state().is_terminal() {
            collector::track(me);
        }
        result
    }

    /// The end of a run: the job is queued to run once more, or it ends. Then the outcome is stored, what a job that is done
    /// ran is released (others keep it, for `retry()`), and only then it is said.
    pub(crate) fn end_running(me: &Bound<'_, Self>, to: State, outcome: Outcome, now: Tick) {
        let job = me.get();
        if job.is_over() {
            // Somebody was faster, and what is stored is the outcome.
            return;
        }
        let (to, outcome) = match &job.plan {
            None => (to, outcome),
            // Also where a plan has it run again.
            Some(plan) => match again::after_run(me, plan, to, outcome) {
                Sequel::Again => return,
                Sequel::End(to, outcome) => (to, outcome),
            },
        };
        let (work, before) = {
            let mut held = job.held.lock();
            let failure = (held.extras.as_mut()).and_then(|extras| extras.last_failure.take());
            let before = std::mem::replace(&mut held.outcome, outcome);
            (held.work.take_if(|_| to == State::Done), (before, failure))
        };
        drop(before);
        may_happen(Place::Store);
        if let Some(work) = work {
            work.release(me.py());
        }
        job.release_context(me.py());
        if job.record.end(State::Running, to, now) {
            Self::after_end(me);
        }
    }

    /// The end of a job for which rjobs itself failed, wherever in its life that was: nothing is asked, and it runs no more.
    pub(crate) fn end_by_fault(me: &Bound<'_, Self>, error: &Bound<'_, PyBaseException>) {
        let (py, job) = (me.py(), me.get());
        if job.is_over() || !job.house.is_here() {
            return;
        }
        let before = {
            let mut held = job.held.lock();
            std::mem::replace(&mut held.outcome, Outcome::raised(error))
        };
        drop(before);
        let now = crate::core::clock::now();
        // One that has not begun begins with that, since only what began can have failed.
        contained(py, || job.begin(now));
        if job.record.end(State::Running, State::Failed, now)
            || job.record.end(State::Queued, State::Lost, now)
        {
            contained(py, || job.leave_backlog());
            contained(py, || job.release_context(py));
            Self::after_end(me);
        }
    }

    /// What is kept for `retry()` is the call, and not the context that it ran in.
    fn release_context(&self, py: Python<'_>) {
        let context = {
            let mut held = self.held.lock();
            held.work.as_mut().map(|work| work.without_context(py))
        };
        if let Some(context) = context {
            call::release(context.into_bound(py));
        }
    }

    /// Who waits beside the record is told. Each step is taken whatever became of the one before.
    fn after_end(me: &Bound<'_, Self>) {
        let (py, job) = (me.py(), me.get());
        contained(py, || {
            may_happen(Place::End);
            if let Some(output) = job.output.get() {
                output.end();
            }
            if let Some(group) = job.group.get() {
                group.has_ended(py);
            }
        });
        if let Some(plan) = &job.plan {
            contained(py, || gates::leave_limits(me, plan));
            contained(py, || again::forget_alarms(job));
        }
        let Linked {
            callbacks,
            dependents,
        } = contained(py, || Self::let_go_of_links(me)).unwrap_or_default();
        contained(py, || gates::settle(me, dependents));
        for callback in callbacks {
            contained(py, || {
                may_happen(Place::Callback);
                Self::run_callback(me, &callback.into_bound(py));
            });
        }
        contained(py, || Self::tell_end(me));
        // After the callbacks: the exit waits for those, too.
        contained(py, || job.is_done_with());
        contained(py, || again::forget_later(me));
        contained(py, || job.come_back());
    }

    /// What waits for the end of this job is taken out of it.
    fn let_go_of_links(me: &Bound<'_, Self>) -> Linked {
        let (py, job) = (me.py(), me.get());
        let (linked, gone, stream, is_linked) = {
            let mut held = job.held.lock();
            let has_cycles = held.work.is_some() || held.outcome.can_have_cycles(py);
            match &mut held.extras {
                None => (Linked::default(), None, None, has_cycles),
                Some(extras) => (
                    Linked {
                        callbacks: std::mem::take(&mut extras.callbacks),
                        dependents: std::mem::take(&mut extras.dependents),
                    },
                    Some((std::mem::take(&mut extras.kills), extras.let_go_of_feeds())),
                    extras.stream.clone(),
                    has_cycles || extras.is_linked(),
                ),
            }
        };
        contained(py, || drop(gone));
        if let Some(stream) = stream {
            contained(py, || ring_all(py, &stream, stream.end()));
        }
        if is_linked {
            collector::track(me);
        }
        linked
    }

    /// A callback's exception is its own affair, and is shown as Python shows those of `__del__`.
    pub(crate) fn run_callback(me: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) {
        let py = me.py();
        let Ok(args) = (me,).into_pyobject(py) else {
            return;
        };
        // A job that ends another one runs its callbacks: a kill of the former must not land in them.
        held::undisturbed(py, || {
            if let Err(exception) = call::call(callback, &args, None) {
                let told = shim::EXCEPTION_IN_CALLBACK.call(py, (me, callback, &exception));
                if let Err(error) = told {
                    error.write_unraisable(py, Some(callback));
                }
            }
        });
    }
}
