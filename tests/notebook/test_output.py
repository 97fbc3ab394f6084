"""What jobs print and display in a notebook: kept by the job, and in no cell."""

from __future__ import annotations

import sys
import threading

import pytest
from IPython.core.error import UsageError


def done(notebook, cell):
    job = notebook(cell)
    job.get(timeout=20)
    return job


def test_displays_are_kept_and_can_be_shown_again(notebook, capsys):
    job = done(notebook, "%%job\nfrom IPython.display import HTML, display\ndisplay(HTML('<b>bold</b>'), 7)")
    capsys.readouterr()
    html, number = job.outputs
    assert html.data["text/html"] == "<b>bold</b>"
    assert number.data == {"text/plain": "7"}
    assert job.output == ""
    number.display()
    assert capsys.readouterr().out == "7\n"
    notebook("display(jobs[0].outputs[1])")
    assert "7" in capsys.readouterr().out
    assert repr(html) == "<display of text/plain, text/html>"


def test_an_update_changes_the_kept_display(notebook):
    job = done(
        notebook,
        """%%job
from IPython.display import display, update_display
handle = display('one', display_id=True)
display('other', display_id='named')
handle.update('two')
update_display('changed', display_id='named')
""",
    )
    assert [output.data["text/plain"] for output in job.outputs] == ["'two'", "'changed'"]


def test_clear_output_clears_what_the_job_displayed(notebook):
    job = done(
        notebook,
        """%%job
from IPython.display import clear_output, display
counts = []
for i in range(5):
    clear_output(wait=True)
    display(i)
    counts.append(len(current_job().outputs))
clear_output(wait=True)
counts.append(len(current_job().outputs))
""".replace("from", "from rjobs import current_job\nfrom", 1),
    )
    assert notebook["counts"] == [1] * 6
    assert [output.data["text/plain"] for output in job.outputs] == ["4"]
    assert done(notebook, "%%job\ndisplay(1)\nclear_output()\ndisplay(2)").outputs[0].data["text/plain"] == "2"


def test_a_bounded_number_of_displays_is_kept(notebook):
    job = done(notebook, "%%job\nfor i in range(1005):\n    display(i)")
    assert len(job.outputs) == 1000
    assert job.outputs[0].data["text/plain"] == "5"


def test_a_job_stays_out_of_what_a_cell_captures(notebook):
    notebook.shell.user_ns.update(go=threading.Event())
    notebook("%job -q go.wait(20); display('from the job'); print('printed by the job')")
    notebook("%%capture captured\ndisplay('from the cell')\nprint('printed')\ngo.set()\njobs[0].join(20)")
    assert [output.data["text/plain"] for output in notebook["captured"].outputs] == ["'from the cell'"]
    assert notebook["captured"].stdout == "printed\n"
    assert len(notebook["jobs"][0].outputs) == 1
    assert notebook["jobs"][0].output == "printed by the job\n"


def test_what_a_job_captures_is_its_own(notebook):
    notebook(
        """%%job -q
from IPython.utils.capture import capture_output
with capture_output() as captured:
    display('inside')
    print('inside')
    with capture_output(stdout=False) as nested:
        display('nested')
    display('inside again')
display('outside')
print('outside')
"""
    )
    job = notebook["jobs"][0]
    job.get(timeout=20)
    captured = notebook["captured"]
    assert [output.data["text/plain"] for output in captured.outputs] == ["'inside'", "'inside again'"]
    assert captured.stdout == "inside\n"
    assert len(notebook["nested"].outputs) == 1
    assert [output.data["text/plain"] for output in job.outputs] == ["'outside'"]
    assert job.output == "outside\n"


def test_while_a_job_captures_cells_show_their_values(notebook, capsys):
    notebook.shell.user_ns.update(inside=threading.Event(), go=threading.Event())
    notebook(
        """%%job -q
from IPython.utils.capture import capture_output
with capture_output(stdout=False, stderr=False) as captured:
    inside.set()
    go.wait(20)
"""
    )
    notebook("inside.wait(20);")
    assert notebook("display('displayed')\n'the value'") == "the value"
    shown = capsys.readouterr().out
    notebook("go.set()\njobs[0].get(20)\n'the next value'")
    shown += capsys.readouterr().out
    for text in ("displayed", "the value", "the next value"):
        assert text in shown
    assert notebook["captured"].outputs == []


def test_displays_of_threads_that_a_job_starts(notebook):
    job = done(
        notebook,
        "%%job\nimport threading\nt = threading.Thread(target=display, args=(1,))\nt.start()\nt.join()",
    )
    assert len(job.outputs) == 1


def test_displays_in_cells_are_untouched(notebook, capsys):
    notebook("display('in a cell')")
    assert capsys.readouterr().out == "'in a cell'\n"


def test_prints_and_logging_go_to_the_job(notebook, capsys):
    job = done(
        notebook,
        """%%job
import logging, sys
print('to stdout')
print('to stderr', file=sys.stderr)
handler = logging.StreamHandler()
logger = logging.getLogger('rjobs-test')
logger.addHandler(handler)
logger.error('logged')
logger.removeHandler(handler)
""",
    )
    captured = capsys.readouterr()
    for text in ("to stdout", "to stderr", "logged"):
        assert text in job.output
        assert text not in captured.out.replace(repr(job), "") + captured.err


def test_tqdm_in_a_job(notebook, capsys):
    pytest.importorskip("tqdm")
    job = done(notebook, "%%job\nfrom tqdm import tqdm\nfor i in tqdm(range(3)):\n    pass")
    assert "3/3" in job.output
    assert "3/3" not in capsys.readouterr().err


def test_a_traceback_that_a_magic_shows_goes_to_the_job(notebook, tmp_path, capsys):
    script = tmp_path / "script.py"
    script.write_text("print('in the script')\n1 / 0\n")
    job = done(notebook, f"%%job\n%run {script}")
    assert "in the script" in job.output
    assert "ZeroDivisionError" in job.output
    assert "ZeroDivisionError" not in capsys.readouterr().out


def test_the_pager_in_a_job_is_output(notebook):
    assert "number of items" in done(notebook, "%%job\nlen?").output


def test_the_next_cell_is_not_written_by_a_job(notebook):
    assert "text of a cell" in done(notebook, "%job get_ipython().set_next_input('text of a cell')").output


@pytest.mark.parametrize("code", ["input('?')", "import getpass; getpass.getpass()"])
def test_asking_for_input_raises_at_once(notebook, code):
    with pytest.raises(RuntimeError, match="input"):
        notebook(f"%job {code}").get(timeout=20)


def test_a_command_has_no_input(notebook):
    job = notebook("%job !cat; echo end")
    job.get(timeout=20)
    assert job.output == "end\n"


@pytest.mark.parametrize("assignment", ["", "x = "])
def test_a_command_ends_with_its_job_and_so_do_its_children(notebook, tmp_path, assignment):
    import os

    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    job = notebook(f"%%job\n{assignment}!sleep 100 > {fifo} & sleep 100; echo no")
    with fifo.open("rb") as held_by_the_child:  # opens when the child does
        assert job.kill(timeout=20)
        assert held_by_the_child.read() == b""  # ends when the child does
    assert job.output == ""
    assert "x" not in notebook


def test_output_of_a_command_as_a_value(notebook):
    notebook("word = 'hello'")
    done(notebook, "%job x = !echo $word; echo there >&2; printf 'größe\\377'")
    assert list(notebook["x"]) == ["hello", "there", "größe\ufffd"]
    assert notebook["x"].n == "hello\nthere\ngröße\ufffd"
    assert done(notebook, "%job y = get_ipython().getoutput('echo {word}', split=False)").output == ""
    assert notebook["y"] == "hello\n"


def test_a_failing_command_raises_where_the_shell_says_so(notebook):
    import subprocess

    notebook.shell.system_raise_on_error = True
    for code in ("!exit 3", "x = !exit 3"):
        with pytest.raises(subprocess.CalledProcessError):
            notebook(f"%job {code}").get(timeout=20)


def test_a_command_with_much_output(notebook):
    job = done(notebook, "%job !seq 100000")
    assert job.output.split()[:2] + job.output.split()[-1:] == ["1", "2", "100000"]


def test_a_command_whose_child_lives_on(notebook):
    job = done(notebook, "%job !echo one; (sleep 30 &) ; echo two")
    assert job.output == "one\ntwo\n"
    assert job.elapsed < 20


def test_a_command_in_the_background_is_refused_as_ever(notebook):
    with pytest.raises(UsageError, match="already"):
        notebook("%job !sleep 1 &")
    with pytest.raises(OSError, match="Background"):
        notebook("%%job\n!sleep 1 &\n1").get(timeout=20)


def test_the_status_of_a_command(notebook):
    done(notebook, "%job !exit 3")
    assert notebook["_exit_code"] == 3
    done(notebook, "%job !kill -9 $$")
    assert notebook["_exit_code"] == -9


def test_a_command_of_a_cell_is_untouched(notebook, capfd):
    notebook("def shout(word):\n    get_ipython().system('echo $word {word}')")
    notebook("shout('local')")
    assert "local local" in capfd.readouterr().out


def test_prints_at_the_prompt_of_terminal_ipython(notebook, monkeypatch):
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.output import DummyOutput
    from prompt_toolkit.patch_stdout import StdoutProxy

    notebook("%unload_ext rjobs")  # load it again now that prompt_toolkit is there
    notebook("%load_ext rjobs\njobs.notify = False")
    with create_app_session(output=DummyOutput()), StdoutProxy() as proxy:
        monkeypatch.setattr(sys, "stdout", proxy)
        job = notebook("%job -q print('at the prompt')")
        notebook("jobs[0].join(20)")
        assert job is None
        monkeypatch.undo()
        assert notebook["jobs"][0].output == "at the prompt\n"
        assert proxy._buffer == []
    notebook("%unload_ext rjobs")
    assert not hasattr(StdoutProxy.write, "__wrapped__")
