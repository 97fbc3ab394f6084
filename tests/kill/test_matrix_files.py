"""A kill ends whatever a job waits for in files: pipes, FIFOs, terminals, locks."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
from contextlib import contextmanager

import pytest

BIG = b"x" * 10_000_000


def endlessly(call, *arguments):
    while True:
        call(*arguments)


@contextmanager
def pipe():
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


def lines(reader):
    with open(reader, closefd=False) as file:
        return list(file)


def everything(reader):
    with open(reader, "rb", closefd=False) as file:
        return file.read()


def raw(reader):
    with open(reader, "rb", buffering=0, closefd=False) as file:
        return file.read(10)


def read_pipe(read):
    def scene():
        with pipe() as (reader, writer):
            yield lambda: read(reader)
            os.write(writer, b"x")
            assert os.read(reader, 10) == b"x"

    return scene


def write_buffered(writer):
    # A file that is closed writes what it has; one that is closed for good does not.
    file = open(writer, "wb", buffering=0, closefd=False)  # noqa: SIM115
    with file:
        while True:
            file.write(BIG)


def write_pipe(write):
    def scene():
        with pipe() as (reader, writer):
            yield lambda: write(writer)
            assert os.read(reader, 10) == b"x" * 10

    return scene


def fifo(how):
    def scene(tmp_path):
        path = tmp_path / "fifo"
        os.mkfifo(path)
        yield lambda: how(path)

    return scene


def open_fifo(mode):
    def opens(path):
        with open(path, mode):  # noqa: PTH123
            return "open"

    return opens


def read_fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR)
    yield path.read_bytes
    os.close(end)


@contextmanager
def terminal():
    master, slave = pty.openpty()
    try:
        yield master, slave
    finally:
        os.close(master)
        os.close(slave)


def read_terminal(read):
    def scene():
        with terminal() as (master, slave):
            yield lambda: read(slave)
            os.write(master, b"x\n")
            assert os.read(slave, 10) == b"x\n"

    return scene


def write_terminal():
    with terminal() as (master, slave):
        yield lambda: endlessly(os.write, slave, b"x" * 1000)
        assert os.read(master, 3) == b"xxx"


HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def file_lock(lock, again):
    def scene(tmp_path):
        path = tmp_path / "locked"
        path.touch()
        command = [sys.executable, "-c", HOLDER, str(path)]
        with (
            path.open("r+") as file,
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder,
        ):
            holder.stdout.readline()
            yield lambda: lock(file)
            with pytest.raises(BlockingIOError):
                again(file)
            holder.communicate()
            again(file)

    return scene


def flock(file, extra=0):
    fcntl.flock(file, fcntl.LOCK_EX | extra)


def lockf(file, extra=0):
    fcntl.lockf(file, fcntl.LOCK_EX | extra)


def os_lockf(file):
    os.lockf(file.fileno(), os.F_LOCK, 0)


SCENES = {
    "os.read of a pipe": read_pipe(lambda reader: os.read(reader, 10)),
    "lines of a pipe": read_pipe(lines),
    "everything in a pipe": read_pipe(everything),
    "raw read of a pipe": read_pipe(raw),
    "os.write to a pipe": write_pipe(lambda writer: endlessly(os.write, writer, BIG)),
    "writing to a pipe": write_pipe(write_buffered),
    "opening a FIFO to read": fifo(open_fifo("rb")),
    "opening a FIFO to write": fifo(open_fifo("wb")),
    "os.open of a FIFO": fifo(lambda path: os.open(path, os.O_RDONLY)),
    "reading a FIFO": read_fifo,
    "os.read of a terminal": read_terminal(lambda slave: os.read(slave, 10)),
    "line of a terminal": read_terminal(lines),
    "os.write to a terminal": write_terminal,
    "fcntl.flock": file_lock(flock, lambda file: flock(file, fcntl.LOCK_NB)),
    "fcntl.lockf": file_lock(lockf, lambda file: lockf(file, fcntl.LOCK_NB)),
    "os.lockf": file_lock(os_lockf, lambda file: lockf(file, fcntl.LOCK_NB)),
}
NEED_A_PATH = [name for name in SCENES if "FIFO" in name or "lock" in name]


@pytest.mark.parametrize("name", SCENES)
def test_a_kill_ends_the_call_and_nothing_false_comes_of_it(name, end, tmp_path):
    with contextmanager(SCENES[name])(*([tmp_path] if name in NEED_A_PATH else [])) as call:
        end(call)
