"""What rjobs says goes to Python's logging, to loggers under `rjobs`."""

import logging
import threading

import pytest

import rjobs


@pytest.fixture
def debug(caplog):
    """Has rjobs say everything."""
    caplog.set_level(logging.DEBUG, "rjobs")
    return caplog


def test_workers_say_when_they_come(debug):
    with rjobs.JobManager(max_workers=1) as manager:
        manager.submit(int).get(5)
        manager.submit(int).get(5)
    said = [(record.name, record.levelname, record.getMessage()) for record in debug.records]
    assert said == [("rjobs.pool", "DEBUG", "worker 0 started")]


def test_a_thread_that_is_missing_is_a_warning(manager, hold, debug, monkeypatch):
    from rjobs import _threads

    def no_thread(thread):
        raise RuntimeError("can't start new thread")

    hold()
    monkeypatch.setattr(_threads, "_start", no_thread)
    manager.submit(int)
    record = debug.records[-1]
    assert (record.name, record.levelname) == ("rjobs.pool", "WARNING")
    assert "can't start new thread" in record.getMessage()


def test_every_record_comes_from_a_logger_of_ours(debug):
    with rjobs.JobManager() as manager:
        job = manager.submit(int, "x")
        job.add_done_callback(lambda _: 1 / 0)
        manager.submit(int).get(5)
    assert debug.records
    assert {record.name.partition(".")[0] for record in debug.records} == {"rjobs"}


def test_levels_may_be_set_at_any_time(caplog):
    with rjobs.JobManager() as manager:
        manager.submit(int).get(5)
    assert caplog.records == []
    caplog.set_level(logging.DEBUG, "rjobs.pool")
    with rjobs.JobManager() as manager:
        manager.submit(int).get(5)
    assert {record.name for record in caplog.records} == {"rjobs.pool"}
    caplog.clear()
    caplog.set_level(logging.WARNING, "rjobs.pool")
    with rjobs.JobManager() as manager:
        manager.submit(int).get(5)
    assert caplog.records == []


class Handler(logging.Handler):
    """Does something for each record, but not for those that doing it makes."""

    def __init__(self, do):
        super().__init__()
        self.do, self.busy = do, False

    def emit(self, record):
        if not self.busy:
            self.busy = True
            try:
                self.do(record)
            finally:
                self.busy = False


@pytest.fixture
def handle():
    handlers, logger = [], logging.getLogger("rjobs")

    def handle(do):
        handlers.append(Handler(do))
        logger.addHandler(handlers[-1])

    yield handle
    for handler in handlers:
        logger.removeHandler(handler)


@pytest.mark.usefixtures("debug")
def test_a_handler_that_uses_rjobs_does_not_lock_up(handle):
    jobs, manager = [], rjobs.JobManager()

    def use(record):
        jobs.append(manager.submit(record.getMessage))
        repr(manager)
        manager.running  # noqa: B018
        jobs[0].join(0)

    handle(use)
    assert manager.submit(int, "3").get(5) == 3
    manager.shutdown()
    assert jobs[0].get(5) == "worker 0 started"


@pytest.mark.usefixtures("debug")
@pytest.mark.parametrize("stack_size", [0, 16 * 1024 * 1024])
def test_a_handler_that_raises_harms_no_job(handle, monkeypatch, stack_size):
    raised = []
    monkeypatch.setattr("sys.unraisablehook", raised.append)
    before = threading.stack_size(stack_size)

    def fail(record):
        raise ValueError(record)

    handle(fail)
    try:
        with rjobs.JobManager() as manager:
            assert [manager.submit(int, str(n)).get(5) for n in range(3)] == [0, 1, 2]
    finally:
        after = threading.stack_size(before)
    assert after == stack_size


def test_without_any_set_up_nothing_is_printed(python):
    run = python(
        """
import rjobs
with rjobs.JobManager() as manager:
    manager.submit(int).get(5)
    manager.submit(int, "x").join()
"""
    )
    assert (run.stdout, run.stderr) == ("", "")
