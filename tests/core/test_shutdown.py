"""The end of a manager: `shutdown`, and the `with` block."""

import threading

import pytest

import rjobs


def test_a_with_block_waits_for_its_jobs():
    pause = threading.Event()
    with rjobs.JobManager(max_workers=2) as manager:
        assert isinstance(manager, rjobs.JobManager)
        jobs = [manager.submit(pause.wait, 0.005) for _ in range(8)]
    assert [job.state for job in jobs] == ["done"] * 8
    assert manager.closed
    assert manager.workers == 0


def test_an_exception_in_the_with_block_comes_out_after_the_jobs():
    pause = threading.Event()

    def block():
        with rjobs.JobManager() as manager:
            jobs.append(manager.submit(pause.wait, 0.01))
            raise ValueError("mine")

    jobs = []
    with pytest.raises(ValueError, match="mine"):
        block()
    assert jobs[0].state == "done"


def test_a_manager_that_was_shut_down_takes_no_jobs(manager):
    assert not manager.closed
    manager.shutdown()
    assert manager.closed
    for make in (manager.new, manager.submit, manager.options(name="x").new, manager.options(name="x").submit):
        with pytest.raises(rjobs.ManagerClosed, match="make another JobManager") as raised:
            make(int)
    assert isinstance(raised.value, RuntimeError)
    assert isinstance(raised.value, rjobs.JobError)
    with pytest.raises(rjobs.ManagerClosed):
        manager.new("1")
    assert len(manager) == 0


def test_its_records_stay(manager):
    good, bad = manager.submit(int, "3"), manager.submit(int, "x")
    manager.shutdown()
    assert manager[0].get() == 3
    assert manager.completed == [good]
    assert manager.dead == [bad]
    manager.remove(0)
    manager.flush()
    assert len(manager) == 0


def test_shutdown_without_waiting_returns_and_the_jobs_are_done(single, hold):
    held = hold("value", on=single)
    queued = single.submit(int, "3")
    single.shutdown(wait=False)
    assert single.closed
    assert held.running()
    hold.go.set()
    assert held.get(5) == "value"
    assert queued.get(5) == 3


def test_shutdown_with_kill_ends_everything(single, hold):
    held = hold(on=single)
    queued = [single.submit(int) for _ in range(3)]
    single.shutdown(kill=True)
    assert held.state == "killed"
    assert {job.state for job in queued} == {"cancelled"}
    assert single.running == []


def test_shutdown_with_kill_does_not_wait_when_told_so(deaf, manager):
    job = deaf()
    manager.shutdown(wait=False, kill=True)
    assert job.running()
    assert job.kill_pending
    deaf.go()
    job.join(5)
    assert not job.is_alive()


def test_shutdown_may_come_again(manager, hold):
    held = hold()
    manager.shutdown(wait=False)
    manager.shutdown(wait=False)
    manager.shutdown(kill=True)
    manager.shutdown()
    assert held.state == "killed"


def test_several_threads_may_shut_it_down_at_once(manager, hold):
    held = hold()
    threads = [threading.Thread(target=manager.shutdown) for _ in range(5)]
    for thread in threads:
        thread.start()
    hold.go.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert held.state == "done"


def test_a_job_that_makes_jobs_during_the_shutdown_is_told(manager):
    closed = threading.Event()

    def late():
        closed.wait(10)
        return manager.submit(int)

    job = manager.submit(late)
    manager.shutdown(wait=False)
    closed.set()
    with pytest.raises(rjobs.ManagerClosed):
        job.get(5)


def test_a_job_may_shut_its_own_manager_down(manager):
    others = [manager.submit(int) for _ in range(5)]
    job = manager.submit(manager.shutdown)
    assert job.get(10) is None
    assert manager.closed
    assert {other.state for other in others} == {"done"}


def test_a_job_may_leave_a_with_block_of_its_own(manager):
    def inner():
        with rjobs.JobManager() as own:
            return own.submit(int, "5").get(5)

    assert manager.submit(inner).get(10) == 5


def test_threads_are_gone_after_the_shutdown():
    manager = rjobs.JobManager()
    together = threading.Barrier(4)
    threads = [manager.submit(lambda: (together.wait(10), threading.current_thread())[1]) for _ in range(4)]
    threads = [job.get(10) for job in threads]
    manager.shutdown()
    assert manager.workers == 0
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
