"""Without the GIL a thread that stops all others as the interpreter ends keeps it from its end, or aborts the process
(python/cpython#137433, in CPython up to 3.13.7): rjobs has none by then.
"""

from __future__ import annotations

import sysconfig

import pytest

STUBBORN = """
    import sys, threading
    import rjobs

    m = rjobs.JobManager(max_workers=8, daemon=True)
    ready = threading.Barrier(9)

    def stubborn():
        ready.wait()
        while True:
            try:
                while True:
                    sum(range(100))
            except BaseException:
                pass

    for _ in range(8):
        m.submit(stubborn)
    ready.wait()
    sys.exit(3)
"""


@pytest.mark.skipif(sysconfig.get_config_var("Py_GIL_DISABLED") != 1, reason="with the GIL nobody stops the others")
@pytest.mark.parametrize("programs", [8, pytest.param(64, marks=pytest.mark.stress)])
def test_swallowing_jobs_do_not_keep_the_program(launch, programs):
    """The exit strikes them ever harder, and gives up."""
    endings = [ending.result() for ending in [launch(STUBBORN) for _ in range(programs)]]
    assert [(ending.code, ending.err) for ending in endings] == [(3, "")] * programs
