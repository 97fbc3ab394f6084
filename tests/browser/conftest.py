"""A real JupyterLab, in a real Chromium: one server, one page, and one notebook, for all the tests here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Locator, Page

HERE = Path(__file__).parent
NEEDED = ("jupyterlab", "anywidget", "ipykernel", "playwright")
# Seconds, and milliseconds, that anything may take on a slow machine.
PATIENCE = 30
WIDTH, HEIGHT = 1000, 760
CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
# What JupyterLab would ask, tell, or look up by itself.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            # The first of them starts the server and the browser.
            item.add_marker(pytest.mark.timeout(180))


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium."""
    sys.path.insert(0, str(HERE.parents[1] / "scripts"))
    try:
        from browser import find_chromium
    finally:
        sys.path.pop(0)
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    path = find_chromium()
    if path is None:
        pytest.skip("there is no Chromium: python3 scripts/browser.py installs it")
    return path


@pytest.fixture(scope="session")
def server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A JupyterLab of its own: its address, and the folder that it serves."""
    home = tmp_path_factory.mktemp("lab")
    work = home / "work"
    work.mkdir()
    for name, content in SETTINGS.items():
        file = home / "config" / "lab" / "user-settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    folders = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": "0",
        "ServerApp.open_browser": "False",
        "ServerApp.allow_root": "True",
        "IdentityProvider.token": "",
        "ServerApp.root_dir": str(work),
        "LabApp.expose_app_in_browser": "True",
        "LabApp.extension_manager": "readonly",
        "LabApp.news_url": "",
    }
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            os.environ.get("RJOBS_LAB", "jupyterlab"),
            *(f"--{key}={value}" for key, value in options.items()),
        ],
        env={**os.environ, **folders, "IPYTHONDIR": str(home / "ipython")},
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if address := re.search(r"http://127\.0\.0\.1:\d+/", line):
                break
        else:
            pytest.fail("JupyterLab has not started:\n" + "".join(lines[-30:]))
        # Nobody reads the rest: the pipe must not fill up.
        drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        yield address[0], work
    finally:
        process.terminate()
        process.wait(PATIENCE)
        process.stderr.close()
        drain.wait(PATIENCE)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        yield browser
        browser.close()


class Notebook:
    """A notebook in a page."""

    def __init__(self, page: Page, address: str, file: Path, pictures: Path) -> None:
        self.page = page
        self.file = file
        self._url = f"{address}doc/tree/{file.name}"
        self._pictures = pictures

    def open(self, *, idle: bool = True) -> None:
        """Load the page, or load it again; `idle`: until the kernel is ready for a cell."""
        self.page.goto(self._url)
        if not idle:
            return
        self.page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.isReady")
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
        )

    def start(self, code: str) -> Locator:
        """Begin to run a new last cell; its output."""
        index = self.page.evaluate(
            """code => {
                const { content } = window.jupyterapp.shell.currentWidget;
                const { sharedModel } = content.model;
                sharedModel.insertCell(sharedModel.cells.length, { cell_type: 'code', source: code });
                content.activeCellIndex = content.widgets.length - 1;
                window.ran = window.jupyterapp.commands.execute('notebook:run-cell');
                return content.activeCellIndex;
            }""",
            code,
        )
        cell = self.page.locator(".jp-Notebook .jp-Cell").nth(index)
        cell.scroll_into_view_if_needed()
        return cell.locator(".jp-Cell-outputArea")

    def wait(self) -> None:
        """Wait until the cell that was started last has ended."""
        self.page.evaluate(
            """ms => Promise.race([
                window.ran,
                new Promise((_, reject) => setTimeout(() => reject(new Error('the cell has not ended')), ms)),
            ])""",
            PATIENCE * 1000,
        )

    def run(self, code: str) -> Locator:
        """Run a new last cell to its end; its output."""
        output = self.start(code)
        self.wait()
        return output

    def is_busy(self) -> bool:
        """Whether the cell that was started last still runs."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").last.locator(".jp-InputPrompt").inner_text() == "[*]:"

    def status(self) -> str:
        """What JupyterLab believes that the kernel does."""
        return self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status")

    def interrupt(self) -> None:
        """End the running cell as the stop button does."""
        self.page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel")
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
        self.wait()

    def forget_kernel(self) -> None:
        """Shut the kernel down, and have another one when the page is opened again."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    def load(self) -> None:
        self.run(
            "import threading, time; import rjobs\n%load_ext rjobs\n"
            "go = threading.Event(); jobs = rjobs.JobManager(); jobs.notify = False"
        )

    def evaluate(self, expression: str) -> str:
        """The value of an expression, as a cell prints it."""
        return self.run(f"print({expression})").inner_text().strip()

    def save(self) -> dict[str, Any]:
        """Save the notebook; what is in the file."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        return json.loads(self.file.read_text())

    def theme(self, name: str) -> None:
        self.page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', { theme: name })", name)
        self.page.locator(f"body[data-jp-theme-name='{name}']").wait_for(state="attached")

    def picture(self, name: str, what: Locator | None = None) -> None:
        """Take a picture of something, or of the page."""
        (what or self.page).screenshot(path=self._pictures / f"{name}.png", animations="disabled")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures go: what RJOBS_SCREENSHOTS says, for the docs."""
    named = os.environ.get("RJOBS_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def opened(browser: Browser, server: tuple[str, Path], pictures: Path) -> Iterator[Notebook]:
    address, work = server
    file = work / "jobs.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    file.write_text(json.dumps({"cells": [], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}))
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=2)
    page.set_default_timeout(PATIENCE * 1000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    notebook = Notebook(page, address, file, pictures)
    notebook.open()
    notebook.load()
    yield notebook
    page.close()
    assert errors == []


@pytest.fixture
def notebook(opened: Notebook) -> Iterator[Notebook]:
    """The notebook, with a new manager and no cells but one; `go` is an event that jobs may wait for."""
    opened.run("go = threading.Event(); jobs = rjobs.JobManager(); jobs.notify = False")
    yield opened
    if opened.is_busy():
        opened.interrupt()
    opened.run(
        "import ipywidgets\nipywidgets.Widget.close_all()\ngo.set()\n"
        "if not jobs.kill_all(): raise RuntimeError(repr(jobs.running))\njobs.shutdown()"
    )
    opened.page.evaluate(
        "() => { const { sharedModel } = window.jupyterapp.shell.currentWidget.content.model;"
        " sharedModel.deleteCellRange(0, sharedModel.cells.length); }"
    )


class Panel:
    """The panel, and its parts."""

    def __init__(self, page: Page, output: Locator) -> None:
        self._output = output
        self.root = root = output.locator(".rjobs-panel.rj-live")
        self._page = page
        self.rows = root.locator(".rj-row")
        self.names = root.locator(".rj-row .rj-name")
        self.search = root.get_by_role("searchbox")
        self.kill_all = root.locator(".rj-all")
        self.note = root.locator(".rj-note")
        self.range = root.locator(".rj-range")
        self.tail = root.locator(".rj-tail:not([hidden]) pre")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.root, name)

    def chip(self, state: str) -> Locator:
        return self.root.locator(".rj-chip", has_text=state)

    def job(self, num: int) -> Row:
        return Row(self.root.locator(".rj-row", has=self._page.locator(f".rj-num span:text-is('{num}')")))


class Row:
    """The row of a job, and its parts."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.open = root.locator(".rj-open")
        self.name, self.state, self.detail, self.line, self.time = (
            root.locator(f".rj-{part}") for part in ("name", "state", "detail", "line", "time")
        )

    def get_by_role(self, *args: Any, **options: Any) -> Locator:
        return self.root.get_by_role(*args, **options)

    def button(self, text: str) -> Locator:
        return self.root.locator(".rj-button", has_text=text)


@pytest.fixture
def panel(notebook: Notebook) -> Callable[..., Panel]:
    """Opens the panel in a new cell, and waits until the kernel follows it."""

    def panel(code: str = "jobs.panel()") -> Panel:
        found = Panel(notebook.page, notebook.run(code))
        found.wait_for()
        return found

    return panel
