"""`with out:` of an ipywidgets `Output`: in a job it takes what the job shows, and in a cell what the cell shows."""

from __future__ import annotations

import pytest

KERNELS = ("installed", "oldest")


@pytest.fixture
def widget(kernel):
    """A kernel with a widget `out`, `texts()` of what it shows, and `go` for jobs."""
    kernel(
        "import ipywidgets, time\nfrom IPython.display import HTML, clear_output, display\nout = ipywidgets.Output()"
    )
    kernel(
        "def texts(out=out):\n"
        "    return [o.get('text') or o.get('ename') or o['data']['text/plain'] for o in out.outputs]"
    )
    return kernel


def finish(kernel):
    """Let the job go, and wait for its end."""
    return kernel("job = jobs[max(jobs.all)]\ngo.set()\njob.join(20)")


def test_it_takes_the_jobs_text_and_displays_in_order_and_nothing_of_a_cell(widget):
    widget(
        """%%job -q
print("before")
with out:
    print("one")
    go.wait(20)
    display(HTML("<b>two</b>"))
    import sys
    print("three", file=sys.stderr)
print("after")"""
    )
    # The front end would catch what belongs to this message.
    assert widget("print('of the cell')\nout.msg_id").result == "''"
    cell = widget("print('of the cell')\ngo.set()\ntime.sleep(0.2)\nprint('of the cell')")
    assert cell.text == "of the cell\nof the cell\n"
    assert finish(widget).text == ""
    assert widget("texts()").result == str(["one\n", "<IPython.core.display.HTML object>", "three\n"])
    assert widget("job.output, job.outputs, out.outputs[2]['name']").result == "('before\\nafter\\n', [], 'stderr')"


def test_text_is_in_the_widget_while_the_job_runs(widget):
    widget("%%job -q\nwith out:\n    print('running')\n    go.wait(20)")
    widget("end = time.monotonic() + 20\nwhile not out.outputs and time.monotonic() < end: time.sleep(0.01)")
    assert widget("texts(), jobs[max(jobs.all)].state").result == "(['running\\n'], 'running')"


def test_two_jobs_at_once_fill_a_widget_each(widget):
    widget("outs = [ipywidgets.Output() for _ in range(2)]")
    widget(
        """def show(k):
    with outs[k]:
        go.wait(20)
        for _ in range(100):
            print(k)
group = jobs.map(show, range(2), workers=2)"""
    )
    widget("go.set(); group.wait(20)")
    assert widget("[texts(each) == [f'{k}\\n' * 100] for k, each in enumerate(outs)]").result == "[True, True]"


def test_blocks_in_blocks(widget):
    widget("inner = ipywidgets.Output()")
    widget("%%job -q\nwith out:\n    print(1)\n    with inner:\n        print(2)\n    print(3)\nprint(4)")
    finish(widget)
    assert widget("texts(), texts(inner), job.output").result == "(['1\\n3\\n'], ['2\\n'], '4\\n')"


def test_threads_and_tasks_that_begin_within_are_within(widget):
    widget(
        """%%job -q
import asyncio, threading
async def task():
    print("task")
with out:
    thread = threading.Thread(target=print, args=("thread",))
    thread.start()
    thread.join()
    await asyncio.create_task(task())
    await asyncio.to_thread(print, "to_thread")
    !echo command
await asyncio.create_task(task())"""
    )
    finish(widget)
    assert widget("texts(), job.output").result == "(['thread\\ntask\\nto_thread\\ncommand\\n'], 'task\\n')"


def test_a_job_that_is_started_within_is_not_within(widget):
    widget("%%job -q\nwith out:\n    print('outer')\n    other = jobs.submit(print, 'inner')\n    other.get(20)")
    finish(widget)
    assert "inner" not in widget("texts()").result
    assert widget("other.output").result == "'inner\\n'"


def test_what_is_cleared_and_updated(widget):
    widget(
        """%%job -q
with out:
    print("gone")
    clear_output()
    print("old")
    clear_output(wait=True)
    handle = display("first", display_id=True)
    print("text")
    handle.update("second")
handle.update("third")
out.append_stdout("appended")
out.append_display_data("shown")"""
    )
    finish(widget)
    assert widget("texts()").result == str(["'third'", "text\nappended", "'shown'"])
    widget("%%job -q\nout.clear_output()\nprint('mine')")
    finish(widget)
    assert widget("texts(), job.output").result == "([], 'mine\\n')"


def test_capture_and_interact(widget):
    widget(
        """%%job -q
@out.capture(clear_output=True)
def captured(k):
    print("call", k)
captured(1)
captured(2)
shown = ipywidgets.interactive(lambda k: print("k is", k) or k, k=(0, 10))
shown.update()"""
    )
    finish(widget)
    assert widget("texts(), texts(shown.out), job.output").result == "(['call 2\\n'], ['k is 5\\n'], '')"


def test_plots(widget):
    pytest.importorskip("matplotlib")
    widget("%%job -q\nimport matplotlib.pyplot as plt\nwith out:\n    plt.plot([1, 2])\n    plt.show()")
    finish(widget)
    assert widget("[sorted(o['data']) for o in out.outputs], job.outputs").result == (
        "([['image/png', 'text/plain']], [])"
    )


def test_an_error_is_shown_in_the_widget_and_a_kill_ends_the_job(widget):
    widget("%%job -q\nwith out:\n    1 / 0\nprint('goes on')")
    finish(widget)
    assert widget("texts(), job.state, job.output").result == "(['ZeroDivisionError'], 'done', 'goes on\\n')"
    widget("go.clear()\nout.outputs = ()")
    widget("%%job -q\nwith out:\n    print('last words')\n    go.wait(20)")
    widget("job = jobs[max(jobs.all)]\nend = time.monotonic() + 20")
    widget("while not out.outputs and time.monotonic() < end: time.sleep(0.01)")
    assert widget("job.kill(), job.state, texts()").result == "(True, 'killed', ['last words\\n'])"


def test_a_redirection_within_is_stronger(widget):
    widget(
        """%%job -q
import contextlib, io
with out, contextlib.redirect_stdout(io.StringIO()) as text:
    print("redirected")
print(text.getvalue(), end="")"""
    )
    finish(widget)
    assert widget("texts(), job.output").result == "([], 'redirected\\n')"


def test_a_bar_is_not_kept_a_thousand_times(widget):
    widget("%%job -q\nwith out:\n    for k in range(1000):\n        print(f'\\r{k} %', end='')\n    print()")
    finish(widget)
    assert widget("texts()").result == "['999 %\\n']"


def test_a_cell_has_the_widget_as_before_and_unloading_leaves_it_so(start):
    kernel = start()
    kernel("import ipywidgets\nfrom ipywidgets import Output\nout = Output()")
    kernel("names = '__enter__', '__exit__', '_append_stream_output', 'append_display_data'")
    kernel("before = [vars(Output)[name] for name in names]")
    kernel("%load_ext rjobs\nassert vars(Output)['__enter__'] is not before[0]")
    cell = kernel("with out:\n    caught = out.msg_id\nprint(caught)")
    assert cell.text.strip() == cell.messages[0]["parent_header"]["msg_id"]
    kernel("%unload_ext rjobs")
    assert kernel("[vars(Output)[name] for name in names] == before").result == "True"
