"""The jobs are ended before `threading`'s hooks of other modules run, whenever those were imported: loky's and that of
`concurrent.futures` wait for what goes on until the jobs end.
"""

from __future__ import annotations

import pytest

PROGRAM = """
gone, registered, begun = threading.Event(), threading.Event(), threading.Event()
def register():
    # As loky does when it is imported.
    threading._register_atexit(gone.wait)
    registered.set()
def work():
    {in_job}
    registered.wait()
    try:
        begun.set()
        endless()
    finally:
        gone.set()
m = rjobs.JobManager(daemon=True)
m.submit(work)
{in_main}
begun.wait()
sys.exit(3)
"""


@pytest.mark.parametrize("where", ["in_job", "in_main"])
def test_a_hook_that_waits_for_the_end_of_a_job_is_called_after_it(run, check, program, where):
    parts = {"in_job": "", "in_main": ""} | {where: "register()"}
    check(run(program(PROGRAM.format(**parts))), 3, "")


def test_a_hook_that_is_registered_while_jobs_are_waited_for_is_called_after_them(run, check, program):
    source = """
    def work():
        time.sleep(0.2)
        threading._register_atexit(say, "the hook")
        save("the job")
    m.options(daemon=False).submit(work)
    threading._register_atexit(say, "an older one")
    """
    check(run(program(source)), 0, "the job\nthe hook\nan older one\n")


def test_who_replaced_what_the_interpreter_calls_at_its_end_is_called_as_before(run, check, program):
    source = """
    before = threading._shutdown
    def shutdown():
        say("begins")
        before()
        say("ends")
    threading._shutdown = shutdown
    m.options(daemon=False).submit(save, "the job")
    """
    check(run(program(source)), 0, "begins\nthe job\nends\n")


def test_without_it_the_hook_of_threading_does_the_same(run, check, program):
    source = """
    def shutdown():
        for hook in reversed(threading._threading_atexits):
            hook()
    threading._shutdown = shutdown
    m.options(daemon=False).submit(save, "the job")
    """
    check(run(program(source)), 0, "the job\n")
