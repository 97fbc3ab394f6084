"""How long a kill takes, by what the job is blocked in; and what the guards behind that cost.

A job blocks (on Linux the kernel says so: its thread is in the same system call several looks in a row), `job.kill()`
is called, and the time until that returned True is taken. Then the next job; at least 200 for each kind of call.

The last table is the price: guarded calls with the guards taken out, with the guards in but in no job (in the main
thread and in another), and in a job. Rounds are interleaved, medians are shown.

    python benches/kill.py [-n 200] [--rounds 7] [--check] [KIND ...]

Kinds are named as in the table: whatever begins so is measured ("queue" means both rows of Queue.get), and "guards"
stands for the last table. With `--check` the exit code is 1 where a p99 misses its goal or a kill did not end its job.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import fcntl
import multiprocessing
import os
import platform
import pty
import queue
import select
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import timeit
import urllib.request
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import foreign
import libraries

import rjobs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Kinds = Mapping[str, Callable[[], object] | str]

LONG = 1000  # seconds: for ever, as far as this is concerned
# Milliseconds, for the p99.
GOALS = {"blocked": 5.0, "bytecode": 30.0, "cleanup": None, "foreign": 50.0, "libraries": 50.0}
LOOKS = 5  # a millisecond apart, for a thread that counts as blocked
AT_ONCE = 20  # jobs that clean up beside each other, since each takes its half second

# Python code that never waits, or never lets go; jobs may be texts.
BYTECODE = {
    "empty loop": "while True: pass",
    "C-heavy loop": "while True: sorted(range(10_000))",
    "deep recursion": "def dive(depth): return depth and dive(depth - 1)\nwhile True: dive(900)",
    "generator": "def numbers():\n while True: yield 1\nfor _ in numbers(): pass",
    "comprehension": "[None for _ in iter(int, 1)]",
    "bare except in a loop": "while True:\n try:\n  while True: sum(range(100))\n except: pass",
    "sleep, swallowing all": "import time\nwhile True:\n try: time.sleep(1000)\n except BaseException: pass",
}
CLEANUP = {"finally that blocks again": "import time\ntry: time.sleep(1000)\nfinally: time.sleep(1000)"}

# What the guards are priced with: one turn of a loop.
TURNS = {
    "with lock": "with lock: pass",
    "acquire and release": "lock.acquire(); lock.release()",
    "send and recv": "one.send(b'x'); other.recv(1)",
    "time.sleep(0)": "sleep(0)",
    "os.read of /dev/zero": "read(zero, 1)",
    "SimpleQueue put and get": "numbers.put(1); numbers.get()",
}


def locks(stack: ExitStack, manager: rjobs.JobManager) -> Kinds:
    """Waits for other threads."""
    lock, rlock, hold = threading.Lock(), threading.RLock(), threading.Event()
    lock.acquire()  # held until the end

    def holder() -> None:
        with rlock:
            hold.wait()

    def condition() -> None:
        condition = threading.Condition()
        with condition:
            condition.wait()

    def enter(lock: Any) -> None:
        with lock:
            pass

    thread = threading.Thread(target=holder, daemon=True)
    thread.start()
    stack.callback(hold.set)
    sleeper = manager.submit(time.sleep, LONG)
    return {
        "time.sleep": partial(time.sleep, LONG),
        "Lock.acquire": lock.acquire,
        "Lock.acquire, time-out": partial(lock.acquire, timeout=LONG),
        "with Lock": partial(enter, lock),
        "RLock.acquire": rlock.acquire,
        "Condition.wait": condition,
        "Event.wait": lambda: threading.Event().wait(),
        "Event.wait, time-out": lambda: threading.Event().wait(LONG),
        "Semaphore.acquire": lambda: threading.Semaphore(0).acquire(),
        "Barrier.wait": lambda: threading.Barrier(2).wait(),
        "Queue.get": lambda: queue.Queue[int]().get(),
        "Queue.get, time-out": lambda: queue.Queue[int]().get(timeout=LONG),
        "SimpleQueue.get": lambda: queue.SimpleQueue[int]().get(),
        "Future.result": lambda: concurrent.futures.Future[int]().result(),
        "Thread.join": thread.join,
        "job.get() in a job": sleeper.get,
    }


def sockets(stack: ExitStack) -> Kinds:
    """Waits for the network, and for what tells of it."""
    one, _other = pair = socket.socketpair()
    silent, full, lonely = (
        stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=b)) for b in (4096, 0, 0)
    )
    for end in pair:
        stack.enter_context(end)
    for _ in range(4):  # nobody accepts, and its queue is full from here on
        visitor = stack.enter_context(socket.socket())
        visitor.setblocking(False)
        visitor.connect_ex(full.getsockname())
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE

    def anonymous(side: int) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")  # needs no certificate
        return context

    def tls_pair() -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
        ours, theirs = socket.socketpair()
        served: list[ssl.SSLSocket] = []
        server = anonymous(ssl.PROTOCOL_TLS_SERVER)
        thread = threading.Thread(target=lambda: served.append(server.wrap_socket(theirs, server_side=True)))
        thread.start()
        client = anonymous(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(ours)
        thread.join()
        return stack.enter_context(client), stack.enter_context(served[0])

    tls, _server = tls_pair()

    def handshake() -> None:
        with socket.create_connection(silent.getsockname()) as ours, anybody.wrap_socket(ours):
            pass

    def send_much() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(bytes(10_000_000))

    def receive_with_limit() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(LONG)
            ours.recv(1)

    def connect() -> None:
        with socket.socket() as ours:
            ours.connect(full.getsockname())

    def watch(watcher: Any) -> None:
        watcher.register(one, select.POLLIN)  # EPOLLIN is the same number
        watcher.poll()

    url = "http://{}:{}/".format(*silent.getsockname())
    return {
        "socket.recv": partial(one.recv, 1),
        "socket.recv, time-out": receive_with_limit,
        "socket.accept": lonely.accept,
        "socket.connect": connect,
        "socket.sendall": send_much,
        "TLS handshake": handshake,
        "TLS read": partial(tls.read, 1),
        "urlopen": lambda: urllib.request.urlopen(url),  # noqa: S310 (ours)
        "select": partial(select.select, [one], [], []),
        "poll": lambda: watch(select.poll()),
        "epoll": lambda: watch(select.epoll()),
    }


def files(stack: ExitStack) -> Kinds:
    """Waits for the other end of a pipe, a terminal, and for locked files."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    fifo, locked = folder / "fifo", folder / "locked"
    os.mkfifo(fifo)
    locked.touch()
    code = "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.flock(f, 2); fcntl.lockf(f, 2); print(); input()"
    command = [sys.executable, "-u", "-c", code, str(locked)]
    holder = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    stack.callback(holder.kill)
    holder.stdout and holder.stdout.readline()
    (reader, _), (_, terminal) = os.pipe(), pty.openpty()

    def read_lines() -> None:
        with open(os.dup(reader)) as lines:  # noqa: PTH123 (a descriptor)
            for _ in lines:
                pass

    def write_much() -> None:
        reader, writer = os.pipe()
        with open(reader, "rb"), open(writer, "wb", buffering=0) as file:  # noqa: PTH123
            while True:
                file.write(bytes(100_000))

    def lock(how: Callable[[Any, int], object]) -> None:
        with locked.open("r+") as file:
            how(file, fcntl.LOCK_EX)

    return {
        "os.read, a pipe": partial(os.read, reader, 1),
        "lines of a pipe": read_lines,
        "write, a pipe": write_much,
        "open, a FIFO": fifo.read_text,
        "os.read, a terminal": partial(os.read, terminal, 1),
        "flock": partial(lock, fcntl.flock),
        "lockf": partial(lock, fcntl.lockf),
    }


def processes(stack: ExitStack, pool: Any) -> Kinds:
    """Waits for other processes, and for signals."""
    sleep = ["sleep", str(LONG)]
    child = stack.enter_context(subprocess.Popen(sleep))
    stack.callback(child.kill)
    context = multiprocessing.get_context("fork")
    numbers, lock = context.Queue(), context.Lock()
    lock.acquire()

    async def coroutine() -> None:
        await asyncio.sleep(LONG)

    return {
        "os.waitpid": partial(os.waitpid, child.pid, 0),
        "Popen.wait": child.wait,
        "subprocess.run": partial(subprocess.run, sleep, check=True),
        "check_output": partial(subprocess.check_output, sleep),
        "os.system": partial(os.system, "exec sleep 2"),
        "sigwait": partial(signal.sigwait, [signal.SIGUSR2]),
        "multiprocessing.Queue.get": numbers.get,
        "multiprocessing.Lock": lock.acquire,
        "multiprocessing.Pool.apply": partial(pool.apply, time.sleep, (LONG,)),
        "asyncio.run": lambda: asyncio.run(coroutine()),
        "coroutine job": coroutine,
    }


def until_blocked(job: rjobs.Job[Any], *, runs: bool) -> None:
    """Wait until the job's thread is in a system call and stays there; or, where it never blocks, for a while."""
    before, same, began = "", 0, time.monotonic()
    while job.native_id is None:
        time.sleep(0.0005)
    if runs or sys.platform != "linux":
        time.sleep(0.01)
        return
    where = Path(f"/proc/self/task/{job.native_id}/syscall")
    # What is at work in the kernel is never seen to wait.
    while same < LOOKS and job.state == "running" and time.monotonic() < began + 0.2:
        time.sleep(0.001)
        now = where.read_text()
        same = same + 1 if now == before and not now.startswith("running") else 0
        before = now


def latency(manager: rjobs.JobManager, call: Callable[[], object] | str, *, runs: bool) -> float | None:
    """Milliseconds from just before the kill until it said that the job has ended; None where it did not."""
    job = manager.new(call, {}) if isinstance(call, str) else manager.new(call)
    until_blocked(job, runs=runs)
    began = time.perf_counter()
    ended = job.kill()
    took = time.perf_counter() - began
    if not ended or job.state != "killed":
        return None
    manager.remove(job)
    return took * 1000


def latencies_of_cleanup(manager: rjobs.JobManager, code: str) -> list[float]:
    """The same for several at once, told by their callbacks."""
    jobs = [manager.new(code, {}) for _ in range(AT_ONCE)]
    for job in jobs:
        until_blocked(job, runs=False)
    times: list[float] = []

    def note(began: float, _: rjobs.Job[Any]) -> None:
        times.append((time.perf_counter() - began) * 1000)

    for job in jobs:
        job.add_done_callback(partial(note, time.perf_counter()))
        job.kill(timeout=0)
    manager.wait(jobs, timeout=10)
    return times


def measure(manager: rjobs.JobManager, name: str, call: Callable[[], object] | str, group: str, count: int) -> bool:
    """Print one row; False when it missed its goal."""
    if group == "cleanup" and isinstance(call, str):
        rounds = -(-count // AT_ONCE)
        times, tries = [time for _ in range(rounds) for time in latencies_of_cleanup(manager, call)], rounds * AT_ONCE
    else:
        taken = [latency(manager, call, runs=group == "bytecode") for _ in range(count)]
        times, tries = [took for took in taken if took is not None], count
    times.sort()
    if not times:
        print(f"  {name:28}{tries:7}   none of them ended", flush=True)
        return False
    p50, p99 = statistics.median(times), times[-(-len(times) * 99 // 100) - 1]
    goal = GOALS[group]
    missed = goal is not None and p99 > goal
    lost = "" if len(times) == tries else f"  {tries - len(times)} NOT ENDED"
    print(f"  {name:28}{tries:7}{p50:9.2f}{p99:9.2f}{times[-1]:9.2f}{lost}{'  OVER' if missed else ''}", flush=True)
    return not missed and not lost


def price(manager: rjobs.JobManager, stack: ExitStack, rounds: int) -> None:
    """Print what the guards cost."""
    one, other = (stack.enter_context(end) for end in socket.socketpair())
    names = {"lock": threading.Lock(), "numbers": queue.SimpleQueue[int](), "one": one, "other": other}
    names |= {"sleep": time.sleep, "read": os.read, "zero": os.open("/dev/zero", os.O_RDONLY)}

    def nanoseconds(turn: str) -> float:
        timer = timeit.Timer(turn, globals=names)
        return statistics.median(timer.repeat(repeat=100, number=100)) * 1e7

    threads = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
    table: dict[str, list[list[float]]] = {name: [] for name in TURNS}
    for _ in range(rounds):
        for name, turn in TURNS.items():
            rjobs._rjobs._set_guards(False)
            out = nanoseconds(turn)
            rjobs._rjobs._set_guards(True)
            within = nanoseconds(turn)
            thread = threads.submit(nanoseconds, turn).result()
            table[name].append([out, within, thread, manager.submit(nanoseconds, turn).get()])
    print(f"\nthe guards, ns per turn, median of {rounds} rounds")
    print(f"  {'':28}{'out':>9}{'in':>9}{'in a thread':>13}{'in a job':>12}")
    for name, results in table.items():
        out, within, thread, job = map(statistics.median, zip(*results, strict=True))
        print(f"  {name:28}{out:9.0f}{within:9.0f}{thread:13.0f}{job:12.0f}")


def main() -> None:
    """Run what was asked for, and print the tables."""
    parser = argparse.ArgumentParser(description="Kill latency by kind of blocked call, and what the guards cost.")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help='what begins so; "guards" for the last table')
    parser.add_argument("-n", type=int, default=200, help="kills of each kind (default 200)")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds of the last table (default 7)")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a p99 misses its goal")
    options = parser.parse_args()
    asked = tuple(kind.lower() for kind in options.kinds)

    print(f"CPython {platform.python_version()}, {os.cpu_count()} cores; milliseconds from kill() to True")
    good = True
    with ExitStack() as stack:
        # First, since it forks.
        pool = stack.enter_context(multiprocessing.get_context("fork").Pool(1))
        manager = rjobs.JobManager()
        stack.callback(manager.shutdown, wait=False, kill=True)
        blocked = {**locks(stack, manager), **sockets(stack), **files(stack), **processes(stack, pool)}
        groups: dict[str, Kinds] = {
            "blocked": blocked,
            "bytecode": BYTECODE,
            "cleanup": CLEANUP,
            "foreign": foreign.kinds(stack, LONG),
            "libraries": libraries.kinds(stack, LONG),
        }
        for group, kinds in groups.items():
            chosen = {name: call for name, call in kinds.items() if not asked or name.lower().startswith(asked)}
            if chosen:
                goal = f" (goal: p99 {GOALS[group]:g})" if GOALS[group] else ""
                print(f"\n{group + goal:30}{'kills':>7}{'p50':>9}{'p99':>9}{'worst':>9}")
            for name, call in chosen.items():
                good &= measure(manager, name, call, group, options.n)
        if not asked or "guards" in asked:
            price(manager, stack, options.rounds)
            libraries.print_cost_of_on_kill(manager, options.rounds)
    sys.exit(1 if options.check and not good else 0)


if __name__ == "__main__":
    main()
