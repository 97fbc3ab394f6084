"""Runs CPython's own tests with `rjobs.Executor` and `rjobs.Pool` in the place of its thread pools.

    python swapped.py GROUP REPORT [FOLDER]

The tests are CPython's and are not kept here: they are imported from the `test` package of the interpreter, or from
FOLDER, which is the `Lib/test` of the same version where a distribution packs that apart. Where they are missing, the
exit code is that of MISSING. REPORT gets a JSON list of [id, outcome].
"""

import importlib
import json
import sys
import types
import unittest
from pathlib import Path

# What scripts do that the tests start in fresh interpreters.
PREAMBLE = """
import sys
sys.path[:0] = {path!r}
import concurrent.futures, rjobs, test
test.__path__[:] = {tests!r}
concurrent.futures.ThreadPoolExecutor = type("ThreadPoolExecutor", (rjobs.Executor,), {{}})
"""
MISSING = 77
# The classes of tests by group, for groups to be run side by side: most of their time is sleep.
GROUPS = {
    "executor": ("ThreadPoolExecutor", "ThreadPoolInitializer", "ThreadPoolFailingInitializer", "Future"),
    "wait": ("ThreadPoolWait",),
    "as_completed": ("ThreadPoolAsCompleted", "ThreadPoolShutdown"),
    "pool": ("WithThreadsTestPool",),
}
# Parts of test.test_concurrent_futures; before 3.12 it is one module.
PARTS = ["test_thread_pool", "test_wait", "test_as_completed", "test_shutdown", "test_init", "test_future"]

# Tests that are not run, and why: none.
LEFT_OUT: dict[str, str] = {}


class Result(unittest.TextTestResult):
    """Notes the outcome of each test."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.outcomes = {}

    def startTest(self, test):  # noqa: N802 (unittest's names)
        super().startTest(test)
        self.outcomes[test.id()] = "passed"

    def _note(self, test, outcome):
        self.outcomes[test.id()] = outcome

    def addError(self, test, err):  # noqa: N802
        super().addError(test, err)
        self._note(test, "failed")

    def addFailure(self, test, err):  # noqa: N802
        super().addFailure(test, err)
        self._note(test, "failed")

    def addSubTest(self, test, subtest, err):  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, "failed")

    def addSkip(self, test, reason):  # noqa: N802
        super().addSkip(test, reason)
        self._note(test, f"skipped: {reason}")


def executor_modules():
    """The modules with the tests, loaded after the class was swapped."""
    import concurrent.futures

    import test
    from test.support import script_helper

    import rjobs

    # The scripts ask for the class by this name.
    swapped = type("ThreadPoolExecutor", (rjobs.Executor,), {})
    concurrent.futures.ThreadPoolExecutor = concurrent.futures.thread.ThreadPoolExecutor = swapped
    original = script_helper.assert_python_ok

    def with_preamble(option, code, *rest, **variables):
        assert option == "-c"
        return original(option, PREAMBLE.format(path=sys.path, tests=list(test.__path__)) + code, *rest, **variables)

    script_helper.assert_python_ok = with_preamble
    try:
        package = importlib.import_module("test.test_concurrent_futures")
    except ModuleNotFoundError as error:
        missing(error)
    if not hasattr(package, "__path__"):
        return [package]
    return [importlib.import_module(f"{package.__name__}.{part}") for part in PARTS]


def pool_modules():
    """A module with the tests of multiprocessing, in all their flavours."""
    import multiprocessing.dummy
    import multiprocessing.pool

    import rjobs

    multiprocessing.dummy.Pool = multiprocessing.pool.ThreadPool = rjobs.Pool
    try:
        suite = importlib.import_module("test._test_multiprocessing")
    except ModuleNotFoundError as error:
        missing(error)
    suite.ThreadsMixin.Pool = staticmethod(rjobs.Pool)
    module = sys.modules["swapped_pool"] = types.ModuleType("swapped_pool")
    suite.install_tests_in_module_dict(vars(module), "spawn")
    return [module]


def missing(error):
    """End: the interpreter comes without these tests."""
    print(error)
    sys.exit(MISSING)


def each(suite):
    """The tests of a suite."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from each(test)
        else:
            yield test


def main(group, report, folder=None):
    """Run them."""
    if folder is not None:
        import test

        test.__path__.append(folder)
    modules = pool_modules() if group == "pool" else executor_modules()
    suites = [unittest.defaultTestLoader.loadTestsFromModule(module) for module in modules]
    tests = [test for suite in suites for test in each(suite) if type(test).__name__.startswith(GROUPS[group])]
    left_out = {test.id(): reason for test in tests if (reason := LEFT_OUT.get(".".join(test.id().split(".")[-2:])))}
    tests = [test for test in tests if test.id() not in left_out]
    runner = unittest.TextTestRunner(resultclass=Result, verbosity=2)
    result = runner.run(unittest.TestSuite(tests))
    outcomes = result.outcomes | {test: f"left out: {reason}" for test, reason in left_out.items()}
    Path(report).write_text(json.dumps(sorted(outcomes.items())))
    # A failure that belongs to no test: of a class or a module as a whole.
    return len(result.errors) + len(result.failures)


if __name__ == "__main__":
    # The folder of this file holds nothing that the tests are to import.
    sys.path.pop(0)
    sys.exit(min(main(*sys.argv[1:]), 1))
