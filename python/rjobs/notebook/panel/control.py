"""The way from a page to its panel past the main thread, which a running cell keeps busy.

Messages of widgets arrive on the kernel's shell channel, and wait there until the running cell has ended. (In ipykernel
7 a subshell may take them, if the page asks for one; but 7.4 sends those for a comm of the main thread back to that.)
The control channel has a thread of its own, in every ipykernel since 6. Of what a page may send there we take
`debug_request`: front ends have a call for it, and neither they nor the server take the kernel's "idle" after it for
that of the cells, which would be wrong while one runs. The command in it is ours, so the debugger does not see it.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs.notebook.panel.widget import JobsPanel

COMMAND = "rjobs"
_TYPE = "debug_request"

# The open panels, by the key that their pages know.
_panels: WeakValueDictionary[str, JobsPanel] = WeakValueDictionary()


def enter(kernel: Any, key: str, panel: JobsPanel) -> bool:
    """Let the page of this panel reach it; False where the kernel has no control channel as ipykernel's."""
    handlers = getattr(kernel, "control_handlers", None)
    if not isinstance(handlers, dict) or _TYPE not in handlers:
        return False
    _panels[key] = panel
    if not hasattr(handlers[_TYPE], "rjobs_before"):
        handlers[_TYPE] = _handler(kernel, handlers[_TYPE])
    return True


def leave(kernel: Any, key: str) -> None:
    """Take the panel out; with the last one the kernel has its own handler again."""
    _panels.pop(key, None)
    handlers = getattr(kernel, "control_handlers", {})
    if not _panels and hasattr(handlers.get(_TYPE), "rjobs_before"):
        handlers[_TYPE] = handlers[_TYPE].rjobs_before


def _handler(kernel: Any, before: Callable[..., Any]) -> Callable[..., Any]:
    async def debug_request(stream: Any, ident: Any, parent: Any) -> None:
        content = parent["content"]
        if content.get("command") != COMMAND:
            done = before(stream, ident, parent)
            if inspect.isawaitable(done):
                await done
            return
        request = content.get("arguments")
        panel = _panels.get(str(request.get("key"))) if isinstance(request, dict) else None
        if panel is not None:
            panel.take(request)
        reply = {
            "type": "response",
            "request_seq": content.get("seq", 0),
            "command": COMMAND,
            "success": panel is not None,
            "body": {},
        }
        kernel.session.send(stream, "debug_reply", reply, parent, ident)

    debug_request.rjobs_before = before  # type: ignore[attr-defined]
    return debug_request
