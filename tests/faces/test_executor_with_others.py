"""`rjobs.Executor` and `rjobs.Pool` in the hands of other libraries."""

import asyncio
import sys
import threading
import time

import pytest

import rjobs


def test_asyncio_runs_calls_in_it():
    async def work():
        loop = asyncio.get_running_loop()
        with rjobs.Executor(2) as executor:
            assert await loop.run_in_executor(executor, pow, 2, 10) == 1024
            assert await asyncio.wrap_future(executor.submit(pow, 2, 5)) == 32
            with pytest.raises(ValueError, match="invalid literal"):
                await loop.run_in_executor(executor, int, "x")
            assert await asyncio.gather(*(loop.run_in_executor(executor, abs, n) for n in range(50))) == list(range(50))

    asyncio.run(work())


def test_it_may_be_the_default_of_a_loop():
    async def work():
        asyncio.get_running_loop().set_default_executor(rjobs.Executor(1))
        return await asyncio.to_thread(lambda: type(threading.current_thread()).__name__)

    assert asyncio.run(work()) == "WorkerThread"


def test_a_cancelled_task_cancels_a_call_that_waits():
    async def work():
        loop = asyncio.get_running_loop()
        with rjobs.Executor(1) as executor:
            first = loop.run_in_executor(executor, go.wait, 20)
            waiting = executor.submit(ran.append, 1)
            wrapped = asyncio.wrap_future(waiting)
            wrapped.cancel()
            await asyncio.sleep(0)
            assert waiting.cancelled()
            go.set()
            await first

    go, ran = threading.Event(), []
    asyncio.run(work())
    assert ran == []


@pytest.mark.parametrize("face", [rjobs.Executor, rjobs.Pool])
def test_dask_computes_with_it(face):
    threaded = pytest.importorskip("dask.threaded")
    graph = {"one": 1, "two": (lambda one: one + 1, "one"), "sum": (sum, ["one", "two"])}
    with face(2) as pool:
        assert threaded.get(graph, "sum", pool=pool) == 3


def test_dask_takes_it_as_its_scheduler():
    dask = pytest.importorskip("dask")
    with rjobs.Executor(2) as executor:
        assert dask.compute(dask.delayed(sum)([1, 2]), scheduler=executor) == (3,)


@pytest.fixture
def without_eventlet(monkeypatch):
    """futurist brings eventlet along where that is installed, which then warns at each fork of the process."""
    monkeypatch.setitem(sys.modules, "eventlet", None)


@pytest.mark.usefixtures("without_eventlet")
def test_futurist_waits_for_its_futures():
    waiters = pytest.importorskip("futurist.waiters")
    with rjobs.Executor(2) as executor:
        go = threading.Event()
        futures = [executor.submit(int), executor.submit(go.wait, 20)]
        done, not_done = waiters.wait_for_any(futures, timeout=10)
        assert (done, not_done) == ({futures[0]}, {futures[1]})
        go.set()
        assert waiters.wait_for_all(futures, timeout=10).done == set(futures)


@pytest.mark.usefixtures("without_eventlet")
def test_futurist_rejects_by_the_backlog():
    rejection = pytest.importorskip("futurist.rejection")
    futurist = pytest.importorskip("futurist")
    with rjobs.Executor(1, check_and_reject=rejection.reject_when_reached(2)) as executor:
        started = threading.Event()

        def stay():
            started.set()
            time.sleep(100)

        executor.submit(stay)
        assert started.wait(10)
        executor.submit(int)
        executor.submit(int)
        with pytest.raises(futurist.RejectedSubmission):
            executor.submit(int)
        executor.manager.kill_all()
