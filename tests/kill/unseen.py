"""Calls that a kill must end in a process in which `/proc/self/task/*/syscall` cannot be read; by `test_unseen.py`."""

from __future__ import annotations

import ctypes
import json
import multiprocessing.synchronize
import os
import queue
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from importlib import import_module
from typing import TYPE_CHECKING

USED = "import rjobs, sys; rjobs.JobManager().submit(int).get(); print(*sys.modules)"
NOBODY = 65534
USER = os.getuid()
if "setuid-first" in sys.argv:
    child = subprocess.Popen(["sleep", "100"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # Nobody may not be allowed to read the library: what rjobs has need of is imported before.
    for name in subprocess.check_output([sys.executable, "-c", USED], text=True).split():
        if not name.startswith(("rjobs", "__main__")):
            import_module(name)
    os.setuid(NOBODY)

import rjobs  # noqa: E402 - after what is done first

if TYPE_CHECKING:
    from collections.abc import Callable


def use_up_descriptors() -> list[int]:
    """Have no descriptor left; the first that was taken can be given back."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    taken = []
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        return taken


def give_up_rights() -> list[int]:
    os.setuid(NOBODY)
    return []


def take_signals() -> list[int]:
    """Have a handler of our own for all real-time signals, so that none is free for a wake."""
    libc = ctypes.CDLL(None)
    for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):
        libc.signal(number, ctypes.cast(libc.abs, ctypes.c_void_p))
    return []


def block_signals() -> list[int]:
    """Block all signals in this thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    return []


HARM = {
    "none": list,
    "descriptors": use_up_descriptors,
    "setuid": give_up_rights,
    "setuid-first": list,
    "signals": take_signals,
    "mask": list,
}

here, there = socket.socketpair()
timed, other = socket.socketpair()
timed.settimeout(1000)
own_limit, another = socket.socketpair()
own_limit.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, b"\xe8\x03" + bytes(14))
server = socket.create_server(("127.0.0.1", 0))
full, peer = socket.socketpair()
reader, writer = os.pipe()
if "setuid-first" not in sys.argv:
    child = subprocess.Popen(["sleep", "100"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
locks = [threading.Lock(), threading.Lock(), multiprocessing.Lock()]
for lock in locks:
    lock.acquire()
polled, epolled = select.poll(), select.epoll()
polled.register(reader, select.POLLIN)
epolled.register(reader, select.EPOLLIN)

# What stays possible where nothing can be woken.
PORTABLE: dict[str, Callable[[], object]] = {
    "lock": locks[0].acquire,
    "lock, time-out": lambda: locks[1].acquire(timeout=1000),
    "queue": queue.Queue().get,
    "simple queue": queue.SimpleQueue().get,
    "event": threading.Event().wait,
    "event, time-out": lambda: threading.Event().wait(1000),
    "sleep": lambda: time.sleep(1000),
    "lock of processes": locks[2].acquire,
    "join": threading.main_thread().join,
}
SYSTEM: dict[str, Callable[[], object]] = {
    "recv": lambda: here.recv(1),
    "recv, time-out": lambda: timed.recv(1),
    "recv, the socket's own time-out": lambda: own_limit.recv(1),
    "accept": server.accept,
    "sendall": lambda: full.sendall(bytes(10_000_000)),
    "select": lambda: select.select([reader], [], []),
    "poll": polled.poll,
    "poll of nothing": lambda: select.poll().poll(1_000_000),
    "epoll": epolled.poll,
    "read": lambda: os.read(reader, 1),
    "child": child.wait,
    "child, time-out": lambda: child.wait(1000),
    "sigwait": lambda: signal.sigwait([signal.SIGUSR1]),
    "sigtimedwait": lambda: signal.sigtimedwait([signal.SIGUSR1], 1000),
    "pause": signal.pause,
}


def waits(job: rjobs.Job) -> bool:
    """Whether the job's thread has begun its call: where that cannot be read, it has had the time for it."""
    return job.state == "running" and job.elapsed > 0.3


def main(harm: str) -> None:
    """Print what became of a kill of each call, as JSON: whether it ended, its state, the time, what hindered it."""
    jobs = rjobs.JobManager()
    jobs.submit(int).get()
    taken: list[int] = []
    if harm == "descriptors":
        # It needs one itself.
        del SYSTEM["accept"]
    taken += HARM[harm]()
    started = {}
    for name, call in (PORTABLE | SYSTEM).items():
        work = call if harm != "mask" else lambda call=call: (block_signals(), call())
        started[name] = jobs.options(name=name).submit(work)
    while not all(waits(job) or job.done() for job in started.values()):
        time.sleep(0.01)
    told = {}
    for name, job in started.items():
        began = time.perf_counter()
        ended = job.kill(10 if harm not in ("signals", "mask") or name in PORTABLE else 0.5)
        told[name] = (ended, job.state, time.perf_counter() - began, job.kill_obstacle)
    for descriptor in taken:
        os.close(descriptor)
    print(json.dumps(told), flush=True)


try:
    main(sys.argv[1])
except BaseException:
    traceback.print_exc()
    raise
finally:
    if os.getuid() == USER:
        child.kill()
    # Jobs that could not be ended are not waited for.
    os._exit(0 if sys.exception() is None else 1)
