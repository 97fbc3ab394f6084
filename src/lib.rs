//! `rjobs._rjobs`: the module that Python imports. A table of contents and nothing else.

mod command;
pub mod core;
mod interrupt;
mod py;

#[pyo3::pymodule(gil_used = false)]
mod _rjobs {
    #[pymodule_export]
    use crate::py::as_completed::AsCompleted;
    #[pymodule_export]
    use crate::py::current::{adopt, current_job, job_write, job_write_bytes, refuse_input};
    #[pymodule_export]
    use crate::py::event_loop::callback::{for_job, generators_of_job};
    #[pymodule_export]
    use crate::py::event_loop::keeper::Keeper;
    #[pymodule_export]
    use crate::py::event_loop::steps::{Steps, steps_of_task};
    #[pymodule_export]
    use crate::py::exit::{_after_fork_in_child, _at_exit, _at_last, _before_fork, _is_ending};
    #[pymodule_export]
    use crate::py::fault::_panic;
    #[pymodule_export]
    use crate::py::follow::Follow;
    #[pymodule_export]
    use crate::py::group::blocks::{Blocks, Waiting};
    #[pymodule_export]
    use crate::py::group::face::JobGroup;
    #[pymodule_export]
    use crate::py::group::items::Shared;
    #[pymodule_export]
    use crate::py::held::{call_held, call_undisturbed};
    #[pymodule_export]
    use crate::py::job::Job;
    #[pymodule_export]
    use crate::py::kill::{_guards, _set_guards, kill_thread, set_striker, strike_done};
    #[pymodule_export]
    use crate::py::last_wait::{_left_at_end, _wait_at_end};
    #[pymodule_export]
    use crate::py::manager::JobManager;
    #[pymodule_export]
    use crate::py::manager_wait::_is_there;
    #[pymodule_export]
    use crate::py::progress::{Progress, ProgressBar};
    #[pymodule_export]
    use crate::py::seconds::wait_limit;
    #[pymodule_export]
    use crate::py::shim::_doors;
    #[pymodule_export]
    use crate::py::streams::forget_streams;
    #[pymodule_export]
    use crate::py::values::JobValues;
    #[pymodule_export]
    use crate::py::view::ManagerView;
    #[pymodule_export]
    use crate::py::wait::waits_let_greenlets_run;
    #[pymodule_export]
    use crate::py::worker::Worker;

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        crate::py::init(module)
    }
}
