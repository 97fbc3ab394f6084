"""Every public name explains itself: a docstring, a signature, and a cheap import."""

import inspect
import json
import re
import tomllib
from pathlib import Path

import pytest

import rjobs

MODULE = [(name, getattr(rjobs, name)) for name in rjobs.__all__ if name != "__version__"]
CLASSES = [rjobs.Job, rjobs.JobManager, type(rjobs.JobManager().options())]
MEMBERS = [
    (f"{cls.__name__}.{name}", member)
    for cls in CLASSES
    for name, member in vars(cls).items()
    if not name.startswith("_") and not isinstance(member, str | int)
]
METHODS = [(name, member) for name, member in MEMBERS if callable(member)]
# These stand in IPython's manager or in threading without a word of their own, or Python says what they mean.
PARAMETERS = {
    "Job.get": "(self, /, timeout=None)",
    "Job.exception": "(self, /, timeout=None)",
    "Job.join": "(self, /, timeout=None)",
    "Job.kill": "(self, /, timeout=5.0, exc=None)",
    "Job.tail": "(self, /, n=10)",
    "JobManager.new": "(self, func_or_exp, /, *args, kw=None, **options)",
    "JobManager.submit": "(self, fn, /, *args, **kwargs)",
    "JobManager.options": "(self, /, **options)",
    "JobManager.kill": "(self, /, job, *more, timeout=5.0, exc=None)",
    "JobManager.kill_all": "(self, /, timeout=5.0, exc=None)",
    "JobManager.wait": "(self, /, jobs=None, timeout=None, return_when='ALL_COMPLETED')",
    "JobManager.as_completed": "(self, /, jobs=None, timeout=None)",
    "JobManager.shutdown": "(self, /, wait=True, kill=False)",
    "ManagerView.new": "(self, func_or_exp, /, *args, kw=None, **options)",
}


def names(pairs):
    return [name for name, _ in pairs]


def test_all_names_what_there_is():
    assert list(rjobs.__all__) == sorted(rjobs.__all__)
    assert all(hasattr(rjobs, name) for name in rjobs.__all__)
    from rjobs import errors

    classes = [value for value in vars(errors).values() if inspect.isclass(value)]
    assert all(getattr(rjobs, cls.__name__) is cls for cls in classes)


@pytest.mark.parametrize(("name", "value"), MODULE + MEMBERS, ids=names(MODULE + MEMBERS))
def test_it_has_a_docstring_of_whole_sentences(name, value):
    text = inspect.getdoc(value)
    assert text
    assert len(text.split()) >= 2
    first = text.split("\n\n")[0].strip()
    assert first[-1] in ".:", first
    assert not re.search(r"\bTODO\b|\bFIXME\b", text)


@pytest.mark.parametrize(("name", "method"), METHODS, ids=names(METHODS))
def test_its_signature_can_be_asked_for(name, method):
    signature = inspect.signature(method)
    assert next(iter(signature.parameters)) == "self"
    assert "..." not in str(signature)
    assert "Ellipsis" not in str(signature)


@pytest.mark.parametrize(("name", "wanted"), PARAMETERS.items(), ids=PARAMETERS)
def test_the_signature_is_the_contracts(name, wanted):
    method = dict(METHODS)[name]
    assert str(inspect.signature(method)).replace("$", "") == wanted


@pytest.mark.parametrize("function", [rjobs.get_chunks, rjobs.current_job, rjobs.kill_thread], ids=lambda f: f.__name__)
def test_functions_have_signatures(function):
    assert inspect.signature(function) is not None


def test_the_manager_says_how_it_is_made():
    parameters = inspect.signature(rjobs.JobManager).parameters
    defaults = {
        "max_workers": None,
        "idle_timeout": 10.0,
        "output_limit": 1_048_576,
        "max_queued": None,
        "on_full": "block",
        "daemon": None,
        "keep_frames": "failed",
    }
    assert [(name, parameter.default) for name, parameter in parameters.items()] == list(defaults.items())
    assert parameters["output_limit"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    "name",
    ["get", "join", "wait", "kill", "JobManager.wait", "JobManager.as_completed", "JobManager.kill_all"],
)
def test_what_blocks_says_so_and_what_ctrl_c_does(name):
    cls, _, method = name.rpartition(".")
    text = inspect.getdoc(getattr(getattr(rjobs, cls or "Job"), method))
    assert re.search(r"[Bb]lock|[Ww]ait|See `Job\.kill`", text)
    assert "Ctrl-C" in text or "See `Job.kill`" in text


def test_each_word_of_an_option_is_explained():
    text = inspect.getdoc(rjobs.JobManager.new)
    for option in ("name", "timeout", "daemon", "kw"):
        assert option in text
    assert "seconds" in text


def test_classes_say_where_they_live():
    assert rjobs.Job.__module__ == "rjobs"
    assert rjobs.JobManager.__module__ == "rjobs"
    assert rjobs.JobKilled.__module__ == "rjobs.errors"


def test_exceptions_are_what_who_catches_builtins_expects():
    assert issubclass(rjobs.UnknownJob, KeyError)
    assert issubclass(rjobs.ManagerClosed, RuntimeError)
    assert issubclass(rjobs.JobTimeout, rjobs.JobKilled)
    assert not issubclass(rjobs.JobKilled, Exception)
    for error in (rjobs.UnknownJob, rjobs.ManagerClosed):
        assert issubclass(error, rjobs.JobError)


def test_the_version_is_the_packages():
    cargo = tomllib.loads((Path(__file__).parents[2] / "Cargo.toml").read_text())
    assert rjobs.__version__ == cargo["package"]["version"]


def test_importing_it_imports_little(python):
    run = python(
        """
import sys
before = set(sys.modules)
import rjobs
import json
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    )
    fresh = set(json.loads(run.stdout))
    assert "rjobs._rjobs" in fresh
    tops = {name.partition(".")[0] for name in fresh}
    assert not tops & {"IPython", "ipykernel", "traitlets", "tqdm", "asyncio", "concurrent", "multiprocessing", "html"}
    assert not any(name.startswith("rjobs.notebook") for name in fresh)


def test_jobs_run_without_anything_that_is_not_the_standard_librarys(python):
    run = python(
        """
import sys
class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"IPython", "ipykernel", "tqdm", "traitlets"}:
            raise ImportError(f"{name} must not be needed")
sys.meta_path.insert(0, Forbid())
import rjobs
with rjobs.JobManager() as manager:
    manager.submit(int).get(5)
    manager.new("1 + 1", {}).get(5)
    bad = manager.submit(int, "x")
    bad.join()
    bad.traceback()
    manager.status()
    manager._repr_html_()
    bad._repr_html_()
    bad.to_dict()
"""
    )
    assert "ValueError" in run.stdout


def test_a_typed_package_says_so():
    from importlib.resources import files

    assert (files("rjobs") / "py.typed").is_file()
    assert (files("rjobs") / "_rjobs.pyi").is_file()
