"""Jobs that give values, and readers of all kinds, under kills: no value is lost or comes twice, nobody waits."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter
from concurrent.futures import CancelledError

import pytest

import rjobs

SHORT, LONG = 300, 3_000
# Values of one source at most: many times its bound.
VALUES = 300


class Note:
    """How many values a source knows to have given."""

    def __init__(self):
        self.given = 0


def yields(note, count):
    for number in range(count):
        yield number
        note.given = number + 1


async def yields_in_a_loop(note, count):
    for number in range(count):
        yield number
        note.given = number + 1
        if number % 7 == 0:
            await asyncio.sleep(0)


def sends(note, count):
    job = rjobs.current_job()
    for number in range(count):
        job.send(number)
        note.given = number + 1


def sends_from_a_thread(note, count):
    def send():
        # Kills do not go there: it is told when it sends.
        with contextlib.suppress(rjobs.JobKilled, RuntimeError):
            sends(note, count)

    thread = threading.Thread(target=send)
    thread.start()
    thread.join()


SOURCES = (yields, yields_in_a_loop, sends, sends_from_a_thread)


# How a job ends that is killed, or stopped before it began.
ENDED = (rjobs.JobKilled, CancelledError)


def read(job, into):
    with contextlib.suppress(*ENDED):
        # One by one: what came before the end is kept.
        into.extend(job)


def read_in_a_loop(job, into):
    async def main():
        values = aiter(job)
        while True:
            try:
                # A step that is given up, now and then, in the moment in which its value comes.
                into.append(await asyncio.wait_for(anext(values), 0.0005))
            except TimeoutError:
                continue
            except (StopAsyncIteration, *ENDED):
                return

    asyncio.run(main())


class Round:
    """One source, two readers, and perhaps somebody who kills or stops it, or waits for its end."""

    def __init__(self, manager, rng):
        self.count = rng.randrange(VALUES)
        self.note, self.source = Note(), rng.choice(SOURCES)
        self.job = manager.options(buffersize=rng.choice([1, 2, 10, 1000])).submit(self.source, self.note, self.count)
        self.lists = [[], []]
        readers = rng.choices([read, read_in_a_loop], k=2)
        self.threads = [
            threading.Thread(target=reader, args=(self.job, into), daemon=True)
            for reader, into in zip(readers, self.lists, strict=True)
        ]
        self.end = rng.choice(["none", "none", "kill", "stop", "get"])
        self.after = rng.randrange(self.count + 1)
        for thread in self.threads:
            thread.start()

    def finish(self):
        while self.end != "none" and self.note.given < self.after and not self.job.done():
            threading.Event().wait(0.0001)
        if self.end == "kill":
            assert self.job.kill(30)
        elif self.end == "stop":
            assert self.job.stop(30)
        elif self.end == "get":
            self.job.get(30)
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), f"a reader of {self.job!r} waits for ever"

    def check(self):
        state = self.job.state
        assert state in (("done", "killed", "cancelled") if self.end in ("kill", "stop") else ("done",))
        values = Counter(self.lists[0] + self.lists[1])
        # A thread that the job started goes on when the job is killed, until it is told that there is no job any more.
        given = self.note.given
        most = self.count if state == "done" else given + 1
        assert values == Counter(range(len(values))), (self.source, state)
        assert given <= len(values) <= most, (self.source, state)
        assert all(list(into) == sorted(into) for into in self.lists)
        return state


def hammer(crew, rounds):
    manager, rng = crew(), random.Random(7)
    states = Counter()
    for _ in range(rounds // 3):
        going = [Round(manager, rng) for _ in range(3)]
        for one in going:
            one.finish()
        states.update(one.check() for one in going)
        manager.flush()
    return states


@pytest.mark.timeout(120)
def test_no_value_is_lost_or_comes_twice(crew, switching, capsys):
    states = hammer(crew, SHORT)
    assert states["done"] > SHORT // 4
    assert states["killed"]


@pytest.mark.stress
@pytest.mark.timeout(1200)
def test_no_value_is_lost_or_comes_twice_for_long(crew, switching, capsys):
    states = hammer(crew, LONG)
    assert states["killed"] > LONG // 20


def test_readers_that_are_killed_lose_what_they_had_taken_and_no_more(crew, hammering, switching):
    manager = crew(max_workers=8)
    source = manager.options(buffersize=5).submit(yields, Note(), 3_000)
    seen, killed = [], []

    def reader():
        for value in source:
            seen.append(value)  # noqa: PERF402 - a kill may come between the two

    readers = [manager.submit(reader) for _ in range(3)]

    def kill_one():
        at = random.randrange(3)
        readers[at].kill(30)
        killed.append(at)
        readers[at] = manager.submit(reader)

    with hammering() as start:
        start(kill_one)
        assert source_ends(source)
    manager.wait(readers, 30)
    values = Counter(seen)
    assert values.most_common(1)[0][1] == 1
    assert 3_000 - len(values) <= len(killed)


def source_ends(source):
    """Not by waiting for it, which would lift its bound."""
    while not source.done():
        threading.Event().wait(0.001)
    return source.state == "done"
