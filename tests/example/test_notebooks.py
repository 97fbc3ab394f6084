"""The other example notebooks run to their end in a real kernel, and come to what they say."""

import ast
import importlib.util
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
# What is so at the end, as cells of the notebook.
HOLDS = {
    "progress": [
        "cleaning.get() == 666 and cleaning.progress.done == 1000",
        "(training.progress.done, training.progress.desc) == (5, 'epochs')",
        "bucket['litres'] == 10 and filling.progress.unit == 'l'",
        "list(probes.errors) == [13] and probes.progress.done == 200",
    ],
    "pipeline": [
        "sorted(file.stem for file in folder.glob('*.txt')) == sorted(set(stations) - {'Atlantis'})",
        "stored['Atlantis'].state == 'skipped' and summary.state == 'done'",
        "listing.output.splitlines()[0] == 'Cairo.txt'",
        "jobs.running == []",
    ],
    "dashboard": [
        "stuck.state == 'killed' and broken.state == 'failed'",
        "total > 0 and 'ZeroDivisionError' in repr(broken.exception())",
        "jobs.running == [] and all(model.done() for model in models)",
    ],
}


@pytest.fixture(scope="module")
def run():
    spec = importlib.util.spec_from_file_location("examples_run", EXAMPLES / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.run


@pytest.mark.parametrize("name", HOLDS)
def test_a_notebook_runs_and_what_it_says_holds(run, name):
    notebook = run(EXAMPLES / f"{name}.ipynb", more_cells=tuple(HOLDS[name]))
    for cell, condition in zip(notebook.cells[-len(HOLDS[name]) :], HOLDS[name], strict=True):
        (output,) = cell.outputs
        assert ast.literal_eval(output["data"]["text/plain"]), condition


def test_every_notebook_is_run_by_a_test():
    assert {path.stem for path in EXAMPLES.glob("*.ipynb")} == {*HOLDS, "titles"}
