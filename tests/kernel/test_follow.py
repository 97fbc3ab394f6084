"""What a job prints and displays, shown in order under the cell that asks; the same on every ipykernel."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs pipes with names")
KERNELS = ("installed", "oldest")

WORK = """%%job -qn worker
from IPython.display import HTML, clear_output, display
print('first')
display(HTML('<b>second</b>'))
print('third', end='')
handle = display('fourth', display_id=True)
import sys; print('fifth', file=sys.stderr)
"""


def shown(cell):
    """What a cell shows, piece by piece; text that came in several messages as one."""
    pieces = []
    for message in cell.messages:
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                text = content["text"]
                if pieces and pieces[-1].startswith("text:"):
                    pieces[-1] += text
                else:
                    pieces.append(f"text:{text}")
            case "display_data" | "update_display_data" as kind:
                data = content["data"]
                pieces.append(f"{kind}:{data.get('text/html') or data['text/plain']}")
            case "clear_output":
                pieces.append(f"clear wait={content['wait']}")
            case "execute_result" | "error" as kind:
                pieces.append(kind)
    return pieces


ALL = ["text:first\n", "display_data:<b>second</b>", "text:third", "display_data:'fourth'", "text:fifth\n"]


@pytest.fixture
def pipe(tmp_path):
    """A pipe with a name: jobs read from it what the test writes while a cell runs."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def newest(kernel):
    kernel("job = jobs[max(jobs.all)]")


@pytest.mark.parametrize("ask", ["%jobs fg worker", "%jobs fg {job.num}", "job.follow()", "display(job.follow())"])
def test_an_ended_job_is_shown_again_as_often_as_is_asked(kernel, ask):
    kernel(WORK)
    newest(kernel)
    kernel("job.get(20)")
    for _ in range(2):
        assert shown(kernel(ask)) == ALL


def test_a_running_job_is_shown_as_it_goes_on(kernel, pipe):
    kernel(WORK + f"open('{pipe}').read()\nhandle.update('sixth')\ndisplay('seventh')\nprint('eighth')")
    cell_id = kernel.start("%jobs fg")
    kernel.wait(cell_id, until=lambda cell: "fifth" in cell.text)
    pipe.write_text("go")
    rest = shown(kernel.wait(cell_id))
    assert "update_display_data:'sixth'" in rest
    assert [piece for piece in rest if not piece.startswith("update")] == ["display_data:'seventh'", "text:eighth\n"]


def test_the_magic_follows_at_once(kernel):
    assert shown(kernel(WORK.replace("-qn", "-qfn"))) == ALL


def test_nothing_of_it_lands_under_other_cells(kernel):
    kernel(WORK + "go.wait(20)\nhandle.update('sixth')\nprint('seventh')\ndisplay('eighth')")
    newest(kernel)
    kernel.published.clear()
    assert shown(kernel("go.set(); job.get(20)")) == []
    assert shown(kernel("'value'")) == ["execute_result"]
    kernel.no_more_messages()
    assert "update_display_data" not in [message["msg_type"] for message in kernel.published]
    assert shown(kernel("%jobs fg worker")) == [
        *ALL[:3],
        "display_data:'sixth'",
        "text:fifth\nseventh\n",
        "display_data:'eighth'",
    ]


def test_the_stop_button_detaches_and_updates_still_come(kernel):
    kernel(WORK + "go.wait(20)\nhandle.update('sixth')\nprint('seventh')")
    newest(kernel)
    cell_id = kernel.start("%jobs fg worker")
    kernel.wait(cell_id, until=lambda cell: "fifth" in cell.text)
    kernel.manager.interrupt_kernel()
    cell = kernel.wait(cell_id)
    assert cell.error is None
    assert "Detached: job" in cell.text
    assert kernel("job.running()").result == "True"
    kernel.published.clear()
    cell = kernel("go.set(); job.get(20)")
    kernel("pass")
    # The message belongs to some cell, and changes what shows the display.
    (update,) = (m["content"] for m in kernel.published if m["msg_type"] == "update_display_data")
    assert update["data"]["text/plain"] == "'sixth'"
    assert "seventh" not in cell.text
    # As after a reload of the page: everything is there.
    assert shown(kernel("job.follow()"))[-1] == "text:fifth\nseventh\n"


def test_clear_output_clears_what_is_shown(kernel, pipe):
    loop = """from IPython.display import clear_output, display
for i in range(4):
    clear_output(wait=True)
    print(i)"""
    kernel(f"%%job -qn loop\n{loop}\n    display(i)")
    newest(kernel)
    kernel("job.get(20)")
    # What was cleared before somebody looked is not shown, and what the cell printed itself stays.
    assert shown(kernel("print('mine')\n%jobs fg loop")) == ["text:mine\n3\n", "display_data:3"]
    kernel(f"%%job -q\nsteps = open('{pipe}')\n{loop}\n    steps.readline()\nclear_output()\ndisplay('end')")
    cell_id = kernel.start("%jobs fg")
    with pipe.open("w") as steps:
        for i in range(4):
            kernel.wait(cell_id, until=lambda cell, i=i: str(i) in cell.text)
            steps.write("on\n")
            steps.flush()
    assert shown(kernel.wait(cell_id)) == ["clear wait=False", "display_data:'end'"]


def test_several_follow_one_job(kernel):
    kernel(WORK + "go.wait(20)\nhandle.update('sixth')\nprint('seventh')")
    newest(kernel)
    # Jobs that follow keep what they show, as cells would.
    kernel("followers = [jobs.new(get_ipython().run_line_magic, 'jobs', 'fg worker') for _ in range(3)]")
    kernel("import time\nwhile not all('fifth' in follower.output for follower in followers): time.sleep(0.01)")
    kernel("go.set(); jobs.wait(timeout=20)")
    texts = kernel("print([follower.output for follower in followers] == [job.output] * 3)").text
    assert texts == "True\n"
    data = "[[list(output.data.values())[-1] for output in follower.outputs] for follower in followers]"
    assert kernel(f"{data} == [['<b>second</b>', \"'sixth'\"]] * 3").result == "True"


def test_a_figure_is_shown_under_the_cell_that_asks(kernel):
    if kernel("import importlib.util; importlib.util.find_spec('matplotlib') is None").result == "True":
        pytest.skip("without matplotlib")
    kernel("%matplotlib inline")
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('plotted')\nplt.show()\nplt.close('all')"
    cell = kernel(f"%%job -qf\n{code}")
    assert cell.text == "plotted\n"
    assert ["image/png" in content["data"] for content in cell.of("display_data")] == [True]


def test_a_failed_job_shows_its_traceback_at_the_end(kernel, strip_colours):
    cell = kernel("%%job -qf\nprint('before')\n1 / 0")
    assert strip_colours(cell.text).startswith("before\n---")
    assert "ZeroDivisionError" in cell.text
    assert cell.error is None


def test_text_alone_is_iterated_as_ever(kernel):
    kernel(WORK)
    assert kernel("''.join(jobs[max(jobs.all)].follow())").result == r"'first\nthirdfifth\n'"
    assert kernel("jobs[max(jobs.all)].follow();").shown == []
    assert "the output of job" in kernel("repr(jobs[max(jobs.all)].follow())").result


def test_a_thread_of_a_job_updates_a_display_that_a_cell_shows(kernel):
    kernel.published.clear()
    kernel("handle = display('one', display_id=True)")
    kernel("%%job -q\nthread = threading.Thread(target=handle.update, args=('two',))\nthread.start(); thread.join()")
    kernel("jobs.wait(timeout=20)")
    newest(kernel)
    assert kernel("job.output").result == "''"  # no traceback of the thread's
    assert [m["msg_type"] for m in kernel.published].count("update_display_data") == 1
