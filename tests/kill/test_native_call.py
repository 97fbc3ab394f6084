"""What a call that cannot be ended is called, told from a frame that is in it."""

from __future__ import annotations

import json
import sys
import threading
import time

import pytest

from rjobs import _call, _rows


class Here:
    """Notes the name of the call that its own method is made by: it stands for the native code."""

    def __init__(self):
        self.names = []

    def see(self):
        self.names.append(_call._of_instruction(sys._getframe(2)))
        return self

    def __matmul__(self, other):
        return self.see()

    def __rmul__(self, other):
        return self.see()

    def __getitem__(self, key):
        return self.see()

    def __lt__(self, other):
        return self.see()

    def __imatmul__(self, other):
        return self.see()

    def __call__(self, *_arguments):
        return self.see()

    def work(self):
        return self.see()


def test_operators_are_named_by_whose_they_are():
    a = b = Here()
    a @ b
    2 * a
    a[1]
    a < b  # noqa: B015
    a @= b
    top = Here.__module__.partition(".")[0]
    expected = ["matmul", "multiply", "indexing", "comparison", "matmul"]
    assert b.names == [f"{top} {name}" for name in expected]


def test_methods_and_objects_that_are_called_are_named():
    a = Here()
    holder = type("Holder", (), {})()
    holder.inner = a
    a.work()
    holder.inner.work()
    (
        a
        .work(
        )
    )  # fmt: skip
    names = [name and name.rpartition(" ")[2] for name in a.names]
    assert names[:2] == ["Here.work"] * 2
    # Up to CPython 3.13 the place of the last is `work(` alone: better no name than that of something else.
    assert names[2] in ("Here.work", None)


def test_what_cannot_be_looked_up_without_running_code_has_no_name():
    class Lazy:
        @property
        def inner(self):
            raise AssertionError("nobody asks for it to name a call")

        def __getattr__(self, name):
            raise AssertionError("nobody asks for it to name a call")

    a = Here()
    found = [a]
    found.pop().work()
    assert a.names == [None]
    lazy = Lazy()
    frame = sys._getframe()
    assert _call._value(_call.ast.parse("lazy.inner", mode="eval").body, frame) is _call._UNKNOWN
    del lazy


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (json.loads, "json.loads"),
        (sorted, "sorted"),
        (time.sleep, "time.sleep"),
        ([].sort, "list.sort"),
        (dict, "dict"),
        (threading.Event().wait, "threading Event.wait"),
    ],
)
def test_callables_are_named(call, name):
    assert _call._of_callable(call) == name


def test_functions_of_numpy_are_named():
    np = pytest.importorskip("numpy")
    assert _call._of_callable(np.matmul) == "numpy.matmul"
    assert _call._of_callable(np.linalg.svd) == "numpy.linalg.svd"


def work(product, go):
    return product(go)


@pytest.fixture
def stuck(manager, until):
    """Start a job that computes without the GIL for some seconds, and ask for its end."""
    jobs = []

    def stuck(function, *arguments):
        job = manager.submit(function, *arguments)
        jobs.append(job)
        assert until(lambda: job.started_at is not None)
        time.sleep(0.1)
        assert job.kill(0.2) is False
        assert until(lambda: job.in_native_code)
        return job

    yield stuck
    for job in jobs:
        job.join(40)


def digest():
    import hashlib

    # Three seconds, where a processor has instructions for it.
    key = hashlib.pbkdf2_hmac("sha256", b"word", b"salt", 12_000_000)
    return len(key)


def test_the_table_names_the_call_and_says_how_long(stuck, until):
    job = stuck(digest)
    assert job.native_call == "hashlib.pbkdf2_hmac"
    assert until(lambda: _rows.pending_text(job) == "kill pending (in hashlib.pbkdf2_hmac since 1 s)", 5)


def test_a_call_that_is_all_of_the_job_is_named(stuck):
    import hashlib

    job = stuck(hashlib.pbkdf2_hmac, "sha256", b"word", b"salt", 4_000_000)
    assert job.native_call == "hashlib.pbkdf2_hmac"


def test_a_product_of_numpys_is_named(stuck, until):
    np = pytest.importorskip("numpy")
    a = b = np.ones((3000, 3000))

    def product():
        for _ in range(20):
            c = a @ b
        return c

    def without_end():
        return product()

    job = stuck(without_end)
    assert until(lambda: job.native_call == "numpy matmul")
    assert "(in numpy matmul since " in _rows.pending_text(job)


def test_a_job_in_python_code_is_in_no_native_call(manager):
    job = manager.submit(time.sleep, 1000)
    job.kill(20)
    assert job.native_call is None
