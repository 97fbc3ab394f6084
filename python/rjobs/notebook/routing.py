"""What a shell sends to a cell past `sys.stdout` and `display()`: inside a job it becomes the job's output.

Tracebacks that a magic shows (`%run`), the pager (`obj?`), text put into the next cell (`%load`), and
prints while the terminal shell sits at its prompt.
"""

from __future__ import annotations

import functools
import sys
import threading
from typing import TYPE_CHECKING, Any

from IPython.core.error import TryNext

from rjobs import _capture, current_job
from rjobs._rjobs import job_write

if TYPE_CHECKING:
    from rjobs.notebook.patches import Patches


def install(shell: Any, patches: Patches) -> None:
    """Make the shell's own ways to a cell know about jobs."""
    show_traceback, set_next_input, run_cell = shell._showtraceback, shell.set_next_input, shell.run_cell  # noqa: SLF001

    @functools.wraps(show_traceback)
    def traceback_to_job(etype: Any, evalue: Any, stb: Any) -> Any:
        if current_job() is None:
            return show_traceback(etype, evalue, stb)
        print(shell.InteractiveTB.stb2text(stb))  # noqa: T201 - to the job's output
        return None

    @functools.wraps(set_next_input)
    def next_input_to_job(s: Any, *args: Any, **kwargs: Any) -> Any:
        if current_job() is None:
            return set_next_input(s, *args, **kwargs)
        print(s)  # noqa: T201 - to the job's output
        return None

    @functools.wraps(run_cell)
    def run_cell_of_cells(*args: Any, **kwargs: Any) -> Any:
        # Only on another thread, so that nothing can ever keep the notebook itself from running cells.
        if current_job() is not None and threading.current_thread() is not threading.main_thread():
            message = (
                "the shell runs cells on its own thread only, so what needs `run_cell` (such as %%capture and "
                "%rerun) cannot run inside a job; a job keeps its output itself: job.output, job.outputs"
            )
            raise RuntimeError(message)
        return run_cell(*args, **kwargs)

    patches.set(shell, "_showtraceback", traceback_to_job)
    patches.set(shell, "set_next_input", next_input_to_job)
    patches.set(shell, "run_cell", run_cell_of_cells)
    shell.set_hook("show_in_pager", _page, 0)
    # IPython 9 sets a `write` of its own on the streams for every cell, which would store a job's text as the cell's.
    shell.events.register("pre_run_cell", _hook_streams)
    _install_at_prompt(patches)


def uninstall(shell: Any) -> None:
    """Take back what is not a plain attribute."""
    shell.events.unregister("pre_run_cell", _hook_streams)
    dispatcher = shell.hooks.show_in_pager
    dispatcher.chain = [entry for entry in dispatcher.chain if getattr(entry[1], "__func__", None) is not _page]


def _hook_streams(_info: Any = None) -> None:
    _capture.hook_streams()


def _page(_shell: Any, data: Any, *_args: Any, **_kwargs: Any) -> None:
    if current_job() is None:
        raise TryNext
    print(data.get("text/plain", "") if isinstance(data, dict) else data)  # noqa: T201 - to the job's output


def _install_at_prompt(patches: Patches) -> None:
    # While terminal IPython waits at its prompt, `sys.stdout` is prompt_toolkit's proxy, a new one for
    # every prompt; so the class is the place.
    module = sys.modules.get("prompt_toolkit.patch_stdout")
    if module is None:
        return
    write = module.StdoutProxy.write

    @functools.wraps(write)
    def write_to_job(self: Any, data: Any) -> int:
        if isinstance(data, str) and job_write(data):
            return len(data)
        written: int = write(self, data)
        return written

    patches.set(module.StdoutProxy, "write", write_to_job)
