"""Pickled, a manager stands for that of whoever loads it; a job says what to pickle in its place."""

from __future__ import annotations

import copy
import os
import pickle

import pytest

import rjobs


def load(data: bytes, python):
    code = f"import pickle\nloaded = pickle.loads({data!r})\n"
    return lambda rest: python(code + rest).stdout


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_manager_becomes_that_of_the_process_that_loads_it(manager, python, protocol):
    manager.submit(pow, 2, 3).get()
    loaded = load(pickle.dumps([manager, {"again": manager}], protocol), python)
    said = loaded(
        "first, second = loaded\n"
        "assert first is second['again']\n"
        "assert type(first).__name__ == 'JobManager' and first.all == {}\n"
        "print(first.submit(pow, 2, 4).get())\n"
        "assert pickle.loads(pickle.dumps(first)) is first\n"
        "first.shutdown()\n"
        "another = pickle.loads(pickle.dumps(first))\n"
        "print(another is first, another.submit(pow, 2, 5).get())\n"
    )
    assert said == "16\nFalse 32\n"


def test_the_child_of_a_fork_has_one_of_its_own(python):
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    said = python(
        "import os, pickle, rjobs, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "loaded = pickle.loads(pickle.dumps(rjobs.JobManager()))\n"
        "assert loaded.submit(pow, 2, 3).get() == 8\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    own = pickle.loads(pickle.dumps(loaded))\n"
        "    os._exit(own.submit(pow, 2, 3).get() if own is not loaded else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    ).stdout
    assert said == "8\n"


def test_a_manager_under_options_keeps_them(manager, python):
    view = manager.options(name="before", timeout=60).options(name="slow", daemon=False)
    said = load(pickle.dumps(view), python)(
        "job = loaded.submit(pow, 2, 3)\nprint(job.get(), job.name, job.daemon, type(loaded).__name__)\n"
    )
    assert said == "8 slow False ManagerView\n"


def test_a_copy_of_a_manager_is_the_manager(manager):
    view = manager.options(name="named")
    for same in (manager, view):
        assert copy.copy(same) is same
        assert copy.deepcopy({"kept": [same]})["kept"][0] is same


def test_a_subclass_becomes_a_plain_manager(python):
    said = python(
        "import pickle, rjobs\n"
        "class Own(rjobs.JobManager): pass\n"
        "own = Own()\n"
        "print(type(pickle.loads(pickle.dumps(own))).__name__)\n"
    ).stdout
    assert said == "JobManager\n"


def refusing(manager):
    job = manager.submit(pow, 2, 3)
    job.get()
    group = manager.map(abs, range(3))
    group.results()
    return {
        "job": (job, "job.get()"),
        "group": (group, "group.results()"),
        "queued": (manager.options(after=[job]).submit(pow, 2, 3), "job.get()"),
        "values": (iter(manager.submit(lambda: (x for x in "ab"))), "list(job)"),
        "as_completed": (manager.as_completed([job]), "get()"),
        "follow": (job.follow(), "job.output"),
        "progress": (group.progress, "to_dict"),
    }


@pytest.mark.parametrize("how", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_what_belongs_to_a_job_says_what_to_pickle(manager, how):
    for name, (thing, instead) in refusing(manager).items():
        with pytest.raises(TypeError, match="cannot be pickled or copied") as caught:
            how(thing)
        assert instead in str(caught.value), name


def test_the_message_names_the_job(manager):
    job = manager.new(pow, 2, 3, name="my job")
    with pytest.raises(TypeError) as caught:
        pickle.dumps(job)
    assert str(caught.value) == (
        f"job {job.num} ('my job') cannot be pickled or copied, since it belongs to the process that runs it: "
        "pickle job.get() for its result, or job.to_dict() for its record"
    )


def test_what_a_job_gives_can_be_pickled(manager):
    job = manager.submit(pow, 2, 3)
    assert pickle.loads(pickle.dumps((job.get(), job.to_dict())))[0] == 8


@pytest.mark.parametrize("name", ["Executor", "Pool"])
def test_the_faces_say_that_they_cannot(name):
    face = getattr(rjobs, name)
    with face(1) as pool, pytest.raises((TypeError, NotImplementedError), match="pickled"):
        pickle.dumps(pool)


def test_cloudpickle_takes_a_function_that_uses_the_manager(python):
    pytest.importorskip("cloudpickle")
    data = python(
        "import cloudpickle, rjobs\n"
        "jobs = rjobs.JobManager()\n"
        "def work(x): return jobs.submit(pow, x, 2).get()\n"
        "print(cloudpickle.dumps(work).hex())\n"
    ).stdout
    said = python(f"import pickle\nwork = pickle.loads(bytes.fromhex({data.strip()!r}))\nprint(work(3))\n").stdout
    assert said == "9\n"


def test_dill_keeps_a_session_and_takes_it_up_again(python, tmp_path):
    pytest.importorskip("dill")
    file = str(tmp_path / "session.pkl")
    # Both as a variable: the package and what is in it.
    python(f"import dill, rjobs\njobs = rjobs.JobManager()\nvalue = 42\nbefore = jobs\ndill.dump_session({file!r})\n")
    said = python(
        f"import dill\ndill.load_session({file!r})\nprint(value, before is jobs, jobs.submit(pow, 2, 3).get())\n"
    ).stdout
    assert said == "42 True 8\n"
    run = python(
        "import dill, rjobs\njobs = rjobs.JobManager()\njob = jobs.submit(pow, 2, 3)\n"
        f"try:\n    dill.dump_session({file!r})\nexcept TypeError as error:\n    print(error)\n"
    )
    assert run.stdout.startswith("job 0 ('pow') cannot be pickled")
