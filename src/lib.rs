//! `rjobs._rjobs`: the module that Python imports. A table of contents and nothing else.

mod command;
pub mod core;
mod interrupt;
mod py;

use pyo3::prelude::*;

#[global_allocator]
static MEMORY: interrupt::reserve::WithReserve = interrupt::reserve::WithReserve;

/// Not a `mod` with exports, since these come before anything else: classes are made once in a process, and must not be made by an
/// interpreter that is refused.
#[pymodule(gil_used = false)]
fn _rjobs(module: &Bound<'_, PyModule>) -> PyResult<()> {
    py::refuse_subinterpreters()?;
    interrupt::ballast::load();
    module.add_class::<py::as_completed::AsCompleted>()?;
    module.add_class::<py::event_loop::keeper::Keeper>()?;
    module.add_class::<py::event_loop::steps::Steps>()?;
    module.add_class::<py::follow::Follow>()?;
    module.add_class::<py::group::blocks::Blocks>()?;
    module.add_class::<py::group::blocks::Waiting>()?;
    module.add_class::<py::group::face::JobGroup>()?;
    module.add_class::<py::group::items::Shared>()?;
    module.add_class::<py::job::Job>()?;
    module.add_class::<py::manager::JobManager>()?;
    module.add_class::<py::progress::Progress>()?;
    module.add_class::<py::progress::ProgressBar>()?;
    module.add_class::<py::troop::Aide>()?;
    module.add_class::<py::values::JobValues>()?;
    module.add_class::<py::view::ManagerView>()?;
    module.add_class::<py::worker::Worker>()?;
    module.add_function(wrap_pyfunction!(py::current::adopt, module)?)?;
    module.add_function(wrap_pyfunction!(py::current::current_job, module)?)?;
    module.add_function(wrap_pyfunction!(py::current::job_write, module)?)?;
    module.add_function(wrap_pyfunction!(py::current::job_write_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(py::current::refuse_input, module)?)?;
    module.add_function(wrap_pyfunction!(py::event_loop::callback::for_job, module)?)?;
    module.add_function(wrap_pyfunction!(
        py::event_loop::callback::generators_of_job,
        module
    )?)?;
    module.add_function(wrap_pyfunction!(
        py::event_loop::steps::steps_of_task,
        module
    )?)?;
    module.add_function(wrap_pyfunction!(py::exit::_after_fork_in_child, module)?)?;
    module.add_function(wrap_pyfunction!(py::exit::_at_exit, module)?)?;
    module.add_function(wrap_pyfunction!(py::exit::_at_last, module)?)?;
    module.add_function(wrap_pyfunction!(py::exit::_before_fork, module)?)?;
    module.add_function(wrap_pyfunction!(py::exit::_is_ending, module)?)?;
    module.add_function(wrap_pyfunction!(py::exit::_keep_for_good, module)?)?;
    module.add_function(wrap_pyfunction!(py::exit::_watch_exit_code, module)?)?;
    module.add_function(wrap_pyfunction!(py::fault::_panic, module)?)?;
    module.add_function(wrap_pyfunction!(
        interrupt::interpreter::_current_frames,
        module
    )?)?;
    module.add_function(wrap_pyfunction!(py::held::call_held, module)?)?;
    module.add_function(wrap_pyfunction!(py::held::call_undisturbed, module)?)?;
    module.add_function(wrap_pyfunction!(py::hog::_set_hog_limit, module)?)?;
    module.add_function(wrap_pyfunction!(py::kill::_guards, module)?)?;
    module.add_function(wrap_pyfunction!(py::kill::_guards_aside, module)?)?;
    module.add_function(wrap_pyfunction!(py::kill::_set_guards, module)?)?;
    module.add_function(wrap_pyfunction!(py::kill::kill_thread, module)?)?;
    module.add_function(wrap_pyfunction!(py::kill::set_striker, module)?)?;
    module.add_function(wrap_pyfunction!(py::kill::strike_done, module)?)?;
    module.add_function(wrap_pyfunction!(py::last_wait::_left_at_end, module)?)?;
    module.add_function(wrap_pyfunction!(py::last_wait::_wait_at_end, module)?)?;
    module.add_function(wrap_pyfunction!(py::manager_wait::_is_there, module)?)?;
    module.add_function(wrap_pyfunction!(py::seconds::wait_limit, module)?)?;
    module.add_function(wrap_pyfunction!(py::shim::_doors, module)?)?;
    module.add_function(wrap_pyfunction!(py::streams::forget_streams, module)?)?;
    module.add_function(wrap_pyfunction!(py::troop::belongings, module)?)?;
    module.add_function(wrap_pyfunction!(py::troop::enlist, module)?)?;
    module.add_function(wrap_pyfunction!(py::troop::is_to_end, module)?)?;
    module.add_function(wrap_pyfunction!(py::wait::waits_let_greenlets_run, module)?)?;
    py::init(module)
}
