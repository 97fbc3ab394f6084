"""The first kill: an exception in the job's own Python code, bound to the job and to nothing else."""

import builtins
import contextlib
import sys
import threading
import time
import traceback

import pytest

import rjobs


@pytest.fixture
def go():
    """Lets the jobs of a test go at its end."""
    go = threading.Event()
    yield go
    go.set()


@pytest.fixture
def start(manager, go):
    """Starts `work(started, go)`; returns the job once it has said that it runs."""

    def start(work, on=manager):
        started = threading.Event()
        job = on.submit(work, started, go)
        assert started.wait(10)
        return job

    return start


def spin(started, go):
    started.set()
    while not go.is_set():
        pass


def wait(go):
    # On its own: CPython 3.13 takes the end of a loop that ends a try block for outside of it. Not `go.wait`, since the
    # kill is to land in bytecode.
    while not go.is_set():
        time.sleep(0.001)


def stubborn(started, go):
    """Swallows every kill until it is let go."""
    started.set()
    while not go.is_set():
        try:
            wait(go)
        except BaseException:
            continue
    return "survived"


def test_a_kill_ends_a_job_that_computes(start):
    job = start(spin)
    assert job.kill() is True
    assert job.state == "killed"
    assert job.finished is None
    with pytest.raises(rjobs.JobKilled, match=r"job 0 .*was killed"):
        job.get()


def test_no_except_exception_swallows_a_kill(start):
    def careless(started, go):
        started.set()
        while not go.is_set():
            with contextlib.suppress(Exception):
                wait(go)

    assert start(careless).kill() is True
    assert issubclass(rjobs.JobKilled, BaseException)
    assert not issubclass(rjobs.JobKilled, Exception)


def test_the_traceback_of_a_killed_job_shows_where_it_was(start):
    job = start(spin)
    job.kill()
    frames = traceback.extract_tb(job.exception().__traceback__)
    assert frames[0].name == "spin"


def test_finally_and_with_blocks_of_a_killed_job_run(start):
    steps, lock = [], threading.Lock()

    def careful(started, go):
        try:
            with lock:
                spin(started, go)
        except BaseException as error:
            steps.append(type(error))
            raise
        finally:
            steps.append("finally")

    assert start(careful).kill()
    assert steps == [rjobs.JobKilled, "finally"]
    assert not lock.locked()


@pytest.mark.xfail(
    sys.version_info[:2] == (3, 13), strict=True, reason="C16: 3.13 leaves JUMP_BACKWARD out of the exception table"
)
def test_a_loop_at_the_end_of_a_try_block_is_inside_of_it(start):
    cleaned = []

    def loop(started, go):
        try:
            started.set()
            while not go.is_set():
                pass
        finally:
            cleaned.append(True)

    for _ in range(100):
        assert start(loop).kill()
    assert len(cleaned) == 100


@pytest.mark.parametrize("exc", [SystemExit, KeyboardInterrupt, ValueError, SystemError, rjobs.JobKilled])
def test_a_kill_may_ask_for_another_exception(start, exc):
    job = start(spin)
    assert job.kill(exc=exc) is True
    assert job.state == "killed"
    with pytest.raises(exc) as raised:
        job.get()
    assert type(raised.value) is exc


def test_an_exception_class_of_the_users_own(start):
    class MineError(Exception):
        pass

    job = start(spin)
    assert job.kill(exc=MineError)
    assert isinstance(job.exception(), MineError)
    assert job.state == "killed"


class NeedsArgumentsError(Exception):
    def __init__(self, what, why):
        super().__init__(what, why)


class GivesSomethingElseError(Exception):
    def __new__(cls):
        return 5


class OddMeta(type):
    def __instancecheck__(cls, other):
        raise RuntimeError


class OddlyClassedError(Exception, metaclass=OddMeta):
    pass


@pytest.mark.xfail(sys.version_info < (3, 12), strict=False, reason="3.11 makes it where nobody can see that it does")
def test_an_exception_class_that_takes_time_to_make(start):
    class SlowError(BaseException):
        def __init__(self):
            time.sleep(0.1)

    cleaned = []

    def wait(started, _go):
        started.set()
        try:
            time.sleep(60)
        finally:
            time.sleep(0.05)
            cleaned.append(1)

    job = start(wait)
    assert job.kill(exc=SlowError)
    assert type(job.exception()) is SlowError
    assert (job.state, cleaned) == ("killed", [1])


def test_an_exception_class_with_an_odd_metaclass(start):
    job = start(spin)
    assert job.kill(exc=OddlyClassedError)
    assert type(job.exception()) is OddlyClassedError
    assert job.state == "killed"


@pytest.mark.parametrize(
    "exc", [ValueError(), "ValueError", 3, int, object, NeedsArgumentsError, GivesSomethingElseError]
)
def test_what_is_no_exception_class_is_refused_and_nobody_is_hit(start, manager, exc):
    job = start(spin)
    for kill in (job.kill, lambda **how: manager.kill(job, **how), manager.kill_all):
        with pytest.raises(TypeError, match="exception class"):
            kill(exc=exc)
    assert job.running()
    assert not job.kill_pending


def test_a_kill_without_time_asks_and_returns(deaf):
    job = deaf()
    assert job.kill(timeout=0) is False
    assert job.running()
    assert job.kill_pending
    deaf.go()
    job.join(5)
    assert not job.kill_pending


def test_where_a_kill_cannot_land_it_says_false(deaf, manager):
    job = deaf()
    assert job.kill(timeout=0.01) is False
    assert manager.kill(0, timeout=0.01) is False
    assert manager.kill_all(0.01) is False
    assert job.kill_pending
    assert job.state == "running"
    deaf.go()
    assert job.kill(5) is True


def test_a_kill_ends_a_wait_for_a_lock_and_the_job_never_enters(manager):
    lock, started, after = threading.Lock(), threading.Event(), []

    def work():
        started.set()
        with lock:
            pass
        after.append(1)

    with lock:
        job = manager.submit(work)
        assert started.wait(5)
        assert job.kill()
        assert lock.locked()
    assert job.state == "killed"
    assert after == []


def test_a_kill_that_found_no_python_code_to_land_in_has_come_to_nothing(deaf, manager):
    job = deaf()
    job.kill(0)
    deaf.go()
    assert job.get(5) == 1
    assert job.state == "done"
    assert manager.submit(int).get(5) == 0


def test_a_job_that_catches_its_kill_and_goes_on_is_struck_until_it_ends(start):
    job = start(stubborn)
    assert job.kill()
    assert job.state == "killed"


def test_a_job_that_catches_its_kill_and_ends_at_once_is_done(manager):
    started = threading.Event()

    def catching():
        try:
            started.set()
            time.sleep(1000)
        except rjobs.JobKilled:
            return "survived"

    job = manager.submit(catching)
    assert started.wait(5)
    assert job.kill()
    assert job.get() == "survived"
    assert job.state == "done"


def test_each_kill_hits_again(start):
    hits, rounds = [], []

    def counting(started, go):
        started.set()
        while len(hits) < 3:
            try:
                rounds.append(1)
                wait(go)
            except rjobs.JobKilled:
                hits.append(1)

    job = start(counting)
    for number in range(3):
        while len(rounds) <= number:
            time.sleep(0)
        job.kill(0)
    assert job.get(5) is None
    assert len(hits) == 3


def test_a_job_that_turns_its_kill_into_another_exception_is_killed_and_says_so(start):
    def turning(started, go):
        try:
            spin(started, go)
        except rjobs.JobKilled:
            raise ValueError("cleanup went wrong") from None

    job = start(turning)
    assert job.kill() is True
    assert job.state == "killed"
    assert type(job.exception()) is rjobs.JobKilled
    assert str(job.exception().__context__) == "cleanup went wrong"


def test_a_kill_reaches_code(manager, go):
    started = threading.Event()
    code = manager.new("started.set()\nwhile not go.is_set(): pass", {"started": started, "go": go})
    assert started.wait(5)
    assert code.kill()
    assert code.state == "killed"


def test_a_module_that_is_being_imported_is_not_left_half_way(manager, go, tmp_path, monkeypatch):
    (tmp_path / "slow_module.py").write_text("started.set()\nwhile not go.is_set(): pass\nwhole = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    started = threading.Event()
    monkeypatch.setattr(builtins, "started", started, raising=False)
    monkeypatch.setattr(builtins, "go", go, raising=False)
    job = manager.new("import slow_module\nwhile True: pass")
    assert started.wait(5)
    assert not job.kill(0)
    assert job.kill_pending
    go.set()
    assert job.kill()
    assert job.state == "killed"
    assert sys.modules.pop("slow_module").whole


def test_waking_up_from_a_short_sleep_it_finds_the_kill(manager):
    started = threading.Event()

    def work():
        started.set()
        while True:
            time.sleep(0.001)

    job = manager.submit(work)
    assert started.wait(5)
    assert job.kill()
    assert job.state == "killed"


def test_the_time_out_of_a_kill_must_be_a_number(start):
    job = start(spin)
    with pytest.raises(TypeError):
        job.kill("5")
    with pytest.raises(ValueError, match="NaN"):
        job.kill(float("nan"))
    assert job.running()
    assert job.kill(None) is True
