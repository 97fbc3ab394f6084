"""What still runs when the main thread has ended: threads that are no daemons, which Python waits for, and `atexit`
callbacks. They may use rjobs, and nothing hangs: what is queued is cancelled, what runs is killed.
"""

from __future__ import annotations

import textwrap

import pytest

START = """
    import asyncio, atexit, threading, time
    import rjobs

    m = rjobs.JobManager(daemon=True)

    def beside(work):
        # The main thread ends meanwhile.
        threading.Thread(target=lambda: (threading.main_thread().join(), work())).start()

    def outcome(job):
        try:
            return job.get(10)
        except BaseException as error:
            return type(error).__name__

    def on(work, *arguments):
        started = threading.Event()
        job = m.submit(lambda: (started.set(), work(*arguments)))
        started.wait(10)
        return job
"""

PROGRAMS = {
    "get of a job that runs": ("job = on(time.sleep, 1000)\nbeside(lambda: print(outcome(job)))", "JobKilled"),
    "get of a job that cleans up": (
        """
        def work():
            try:
                time.sleep(1000)
            finally:
                time.sleep(1000)

        job = on(work)
        beside(lambda: print(outcome(job)))
        """,
        "JobKilled",
    ),
    "kill of a job that swallows": (
        """
        enough = threading.Event()

        def work():
            while not enough.is_set():
                try:
                    enough.wait()
                except BaseException:
                    enough.wait(0.7)

        job = on(work)
        beside(lambda: print(job.kill(10), job.state))
        """,
        "True killed",
    ),
    "get of a job between two tries": (
        """
        tried = threading.Event()
        job = m.new(lambda: (tried.set(), 1 / 0), retry=5)
        tried.wait(10)
        beside(lambda: print(outcome(job)))
        """,
        "CancelledError",
    ),
    "get of a periodic job": ("job = m.every(1000, int)\nbeside(lambda: print(outcome(job)))", "CancelledError"),
    "get of a job that waits for its limit": (
        """
        m.limit("slow", rate=0.001)
        jobs = [m.options(limit="slow").submit(int) for _ in range(3)]
        beside(lambda: print([outcome(job) for job in jobs][1:]))
        """,
        "['CancelledError', 'CancelledError']",
    ),
    "shutdown": ("beside(lambda: print(m.shutdown()))\non(time.sleep, 1000)", "None"),
    "shutdown that waits already": (
        "on(time.sleep, 1000)\nthreading.Thread(target=lambda: print(m.shutdown())).start()",
        "None",
    ),
    "shutdown at exit": ("atexit.register(lambda: print(m.shutdown()))\non(int)", "None"),
    "shutdown of a loop at exit": (
        "m.submit(asyncio.sleep, 1000)\nm.submit(asyncio.sleep, 0).get()\natexit.register(lambda: print(m.shutdown()))",
        "None",
    ),
    "shutdown with kill at exit": (
        "atexit.register(lambda: print(m.shutdown(kill=True)))\non(time.sleep, 1000)",
        "None",
    ),
    "submit": (
        """
        def late():
            try:
                m.submit(int)
            except rjobs.ManagerClosed as error:
                print("closed")

        beside(late)
        """,
        "closed",
    ),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_comes_late_is_answered(run, check, program):
    source, printed = PROGRAMS[program]
    check(run(textwrap.dedent(START) + textwrap.dedent(source)), 0, out=printed + "\n")
