"""What ends while it waits for other jobs is not waited for any more, not by a shutdown either, whatever it is."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest


async def nothing() -> None:
    pass


KINDS = {
    "function": lambda view: view.submit(int),
    "group": lambda view: view.map(int, ["1"]),
    "coroutine": lambda view: view.submit(nothing),
    "command": lambda view: view.shell("exit 0"),
}


def comes_to_an_end(manager):
    """Whether a shutdown that waits does so."""
    is_down = threading.Event()
    threading.Thread(target=lambda: (manager.shutdown(), is_down.set()), daemon=True).start()
    return is_down.wait(10)


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_skipped(single, kind):
    job = KINDS[kind](single.options(after=single.new("1 / 0")))
    job.join(10)
    assert job.state == "skipped"
    assert comes_to_an_end(single)


@pytest.mark.parametrize("is_done", [True, False], ids=["done", "killed"])
@pytest.mark.parametrize("end", ["kill", "cancel", "ttl"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_that_ends_before_the_one_it_waits_for(single, held, kind, end, is_done):
    before = held(single)
    options = {"ttl": 0.01} if end == "ttl" else {}
    job = KINDS[kind](single.options(after=before, **options))
    if end != "ttl":
        getattr(job, end)()
    job.join(10)
    assert job.state == {"kill": "killed", "cancel": "cancelled", "ttl": "expired"}[end]
    if is_done:
        held.go()
        before.join(10)
    else:
        before.kill()
    assert comes_to_an_end(single)


def test_one_that_ends_while_it_waits_for_a_limit(single, held):
    single.limit("one", concurrency=1)
    before = held(single.options(limit="one"))
    job = single.options(limit="one").submit(nothing)
    assert job.kill()
    held.go()
    before.join(10)
    assert comes_to_an_end(single)
    assert single.limits == {"one": (0, 0)}


def test_a_long_job_does_not_keep_those_that_waited_for_it(manager, held):
    before, waiting = held(manager, 3), []
    for _ in range(300):
        job = before.then(str)
        assert job.cancel()
        waiting.append(weakref.ref(job))
        manager.remove(job)
    last = before.then(str)
    del job
    gc.collect()
    assert sum(job() is not None for job in waiting) < 150
    held.go()
    assert last.get(10) == "3"
