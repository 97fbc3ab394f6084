"""cache=: the same call is answered once; lock=: one at a time, between processes as well."""

import collections
import subprocess
import sys
import threading
import time

import pytest

from rjobs._locks import UnderLock, make_lock

# Holds a lock file until it is told.
HOLD = """
import sys, fasteners
with fasteners.InterProcessLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


class Counted:
    def __init__(self):
        self.calls = 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return (args, kwargs)


def test_a_call_that_was_answered_is_not_run_again(manager, until):
    work, cache = Counted(), {}
    view = manager.options(cache=cache)
    first = view.submit(work, 1, x=2)
    assert first.get(10) == ((1,), {"x": 2})
    # The answer is noted when it is told.
    until(lambda: len(cache) == 1)
    second = view.submit(work, 1, x=2)
    assert second is not first
    assert (second.state, second.get()) == ("done", ((1,), {"x": 2}))
    assert view.submit(work, 1, 2).get(10) == ((1, 2), {})
    assert work.calls == 2
    until(lambda: len(cache) == 2)


def test_a_running_twin_is_joined(manager, held):
    cache, started, go, calls = {}, threading.Event(), threading.Event(), []

    def work(x):
        calls.append(x)
        started.set()
        go.wait(10)
        return x

    view = manager.options(cache=cache)
    first = view.submit(work, 1)
    assert started.wait(10)
    assert view.submit(work, 1) is first
    assert len(manager) == 1
    other = view.submit(work, 2)
    go.set()
    assert (first.get(10), other.get(10), sorted(calls)) == (1, 2, [1, 2])


def test_a_failure_is_not_kept(manager):
    cache, calls = {}, []

    def work():
        calls.append(1)
        if len(calls) == 1:
            raise ValueError
        return "fine"

    view = manager.options(cache=cache)
    assert isinstance(view.submit(work).exception(10), ValueError)
    assert cache == {}
    assert view.submit(work).get(10) == "fine"


def test_a_cache_that_forgets(manager):
    cachetools = pytest.importorskip("cachetools")
    work, cache = Counted(), cachetools.LRUCache(maxsize=2)
    view = manager.options(cache=cache)
    for x in (1, 2, 3, 3, 1):
        assert view.submit(work, x).get(10) == ((x,), {})
        manager.wait()
    assert work.calls == 4
    assert len(cache) == 2


def test_many_threads_ask_for_the_same(manager):
    work, cache = Counted(), {}
    view = manager.options(cache=cache)
    asking = [manager.submit(view.submit, work, number % 3) for number in range(200)]
    for number, job in enumerate(asking):
        assert job.get(10).get(10) == ((number % 3,), {})
    assert work.calls == 3


@pytest.mark.parametrize(
    ("cache", "args", "message"),
    [
        ([], (int,), "cache must be a mutable mapping"),
        (True, (int,), "cache must be a mutable mapping"),
        ({}, (len, [1]), "cache= needs a function and arguments that can be keys"),
        ({}, ("1 + 1",), "cache= goes with a function"),
    ],
)
def test_what_cannot_be_cached(manager, cache, args, message):
    with pytest.raises(TypeError, match=message):
        manager.new(*args, cache=cache)
    assert len(manager) == 0


def test_jobs_with_the_same_lock_run_one_at_a_time(manager):
    lock, inside, most = threading.Lock(), [], []

    def work():
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.001)
        inside.pop()

    manager.wait([manager.new(work, lock=lock) for _ in range(20)], 10)
    assert set(most) == {1}
    assert not lock.locked()


def test_a_lock_file_keeps_processes_apart(manager, tmp_path, python):
    pytest.importorskip("fasteners")
    path, log = tmp_path / "lock", tmp_path / "log"

    def write(who):
        for _ in range(3):
            with log.open("a") as file:
                file.write(f"{who} in\n")
                file.flush()
                time.sleep(0.002)
                file.write(f"{who} out\n")

    jobs = [manager.new(write, number, lock=path) for number in range(3)]
    program = f"""
import time, rjobs
def write():
    for _ in range(3):
        with open({str(log)!r}, "a") as file:
            file.write("x in\\n"); file.flush(); time.sleep(0.002); file.write("x out\\n")
rjobs.JobManager().new(write, lock={str(path)!r}).get(20)
"""
    python(program)
    manager.wait(jobs, 20)
    assert [job.state for job in jobs] == ["done"] * 3
    lines = log.read_text().split("\n")[:-1]
    for into, out in zip(lines[::2], lines[1::2], strict=True):
        assert into.replace(" in", " out") == out


def test_who_waits_for_a_lock_can_be_killed(manager):
    lock = threading.Lock()
    with lock:
        job = manager.new(int, lock=lock)
        while not job.running():
            job.join(0.001)
        assert job.kill()
        assert job.state == "killed"
    assert not lock.locked()


def test_a_path_without_fasteners_says_what_to_install(manager, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "fasteners", None)
    with pytest.raises(ImportError, match=r"pip install 'rjobs\[lock\]'"):
        manager.new(int, lock=tmp_path / "other")
    with pytest.raises(TypeError, match="lock must be the path"):
        manager.new(int, lock=3)

    async def coroutine():
        pass

    with pytest.raises(TypeError, match="lock= goes with plain functions"):
        manager.new(coroutine, lock=threading.Lock())
    assert len(manager) == 0


def test_a_mapping_that_makes_answers_is_not_asked_for_one(manager):
    answers = collections.defaultdict(list)
    assert manager.new(int, "3", cache=answers).get(10) == 3
    assert list(answers.values()) == [3]


def test_a_value_that_is_too_large_is_not_kept(manager, caplog):
    cachetools = pytest.importorskip("cachetools")
    small = cachetools.LRUCache(maxsize=3, getsizeof=len)
    jobs = [manager.new(str.upper, text, cache=small) for text in ("abc", "abcd")]
    assert [job.get(10) for job in jobs] == ["ABC", "ABCD"]
    manager.shutdown()
    assert list(small.values()) == ["ABC"]
    assert not caplog.text


@pytest.mark.parametrize("is_waiting", [False, True], ids=["free", "held by another"])
def test_a_kill_never_leaves_a_lock_file_held(manager, tmp_path, is_waiting):
    """Wherever it lands: what holds the lock here is asked itself, since a process is always let in by its own."""
    fasteners = pytest.importorskip("fasteners")
    path = str(tmp_path / "lock")
    other = (
        subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if is_waiting
        else None
    )
    if other is not None:
        other.stdout.readline()
    lock = make_lock(path)

    def again_and_again(started):
        locked = UnderLock(lock, int)
        started.set()
        while True:
            locked()

    for number in range(150 if other is None else 20):
        started = threading.Event()
        job = manager.submit(again_and_again, started)
        assert started.wait(10)
        # Another place each time.
        end = time.perf_counter() + number % 50 * 0.00004
        while time.perf_counter() < end:
            pass
        assert job.kill()
        assert not lock._processes.acquired
        assert not lock._threads.locked()
    if other is not None:
        other.communicate(b"go")
    probe = fasteners.InterProcessLock(path)
    assert probe.acquire(blocking=False)
    probe.release()
