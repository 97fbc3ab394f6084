"""The values of a job on event loops: `async for x in job`, and asynchronous generators as jobs."""

import asyncio
import threading

import pytest

import rjobs


def numbers(to):
    yield from range(to)


async def anumbers(to):
    for number in range(to):
        await asyncio.sleep(0)
        yield number


async def read(job):
    return [value async for value in job]


class TestAsyncFor:
    @pytest.mark.parametrize("function", [numbers, anumbers])
    def test_values_come_in_their_order(self, manager, function):
        assert asyncio.run(read(manager.submit(function, 5_000))) == list(range(5_000))

    def test_the_loop_goes_on_meanwhile(self, manager, go):
        def slow():
            yield 1
            assert go.wait(10)
            yield 2

        async def main():
            reader = asyncio.create_task(read(manager.submit(slow)))
            for _ in range(10):
                await asyncio.sleep(0.001)
            assert not reader.done()
            go.set()
            return await reader

        assert asyncio.run(main()) == [1, 2]

    def test_no_thread_is_needed_for_a_reader(self, manager, go, until):
        jobs = [manager.submit(lambda: (go.wait(10), rjobs.current_job().send(1))) for _ in range(20)]
        until(lambda: all(job.running() for job in jobs))

        async def main():
            before = threading.active_count()
            readers = [asyncio.create_task(read(job)) for job in jobs]
            await asyncio.sleep(0.01)
            assert threading.active_count() == before
            go.set()
            return await asyncio.gather(*readers)

        assert asyncio.run(main()) == [[1]] * 20

    def test_it_ends_with_what_the_job_raised(self, manager):
        def breaks():
            yield 1
            raise KeyError("torn")

        async def main(job):
            values = aiter(job)
            assert await anext(values) == 1
            with pytest.raises(KeyError, match="torn"):
                await anext(values)

        asyncio.run(main(manager.submit(breaks)))

    def test_a_job_that_gives_nothing_has_no_values(self, manager):
        assert asyncio.run(read(manager.submit(int))) == []

    def test_a_kill_ends_the_loop(self, manager, go):
        job = manager.submit(go.wait)

        async def main():
            reader = asyncio.create_task(read(job))
            await asyncio.sleep(0)
            await asyncio.to_thread(job.kill)
            with pytest.raises(rjobs.JobKilled):
                await reader

        asyncio.run(main())

    def test_a_step_that_is_cancelled_loses_no_value(self, manager):
        ask, to_give = threading.Semaphore(0), 200

        def on_demand():
            for number in range(to_give):
                ask.acquire()
                yield number

        async def main(job):
            values, seen, cancelled = aiter(job), [], 0
            while len(seen) < to_give:
                step = asyncio.ensure_future(anext(values))
                await asyncio.sleep(0)
                ask.release()
                # At the moment in which the value comes, before, or after.
                if len(seen) % 2:
                    await asyncio.sleep(0)
                step.cancel()
                try:
                    seen.append(await step)
                except asyncio.CancelledError:
                    cancelled += 1
                    seen.append(await anext(values))
            return seen, cancelled

        seen, cancelled = asyncio.run(main(manager.submit(on_demand)))
        assert seen == list(range(to_give))
        assert cancelled > 0

    def test_a_cancelled_reader_wakes_another_in_its_place(self, manager, go, until):
        gave, rest = [], threading.Event()

        def one():
            assert go.wait(10)
            yield 1
            gave.append(1)
            assert rest.wait(10)

        job = manager.submit(one)

        async def main():
            first, second = (asyncio.ensure_future(anext(aiter(job))) for _ in range(2))
            await asyncio.sleep(0)
            go.set()
            # The first is called when the value comes, and is cancelled before it is run.
            until(lambda: gave)
            first.cancel()
            assert await asyncio.wait_for(second, 10) == 1
            rest.set()

        asyncio.run(main())

    def test_a_loop_that_was_closed_leaves_the_value_to_others(self, manager, go):
        def one():
            assert go.wait(10)
            yield 1

        job = manager.submit(one)
        loop = asyncio.new_event_loop()
        step = loop.create_task(anext(aiter(job)))
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()

        async def main():
            reader = asyncio.create_task(read(job))
            await asyncio.sleep(0.01)
            go.set()
            return await asyncio.wait_for(reader, 10)

        assert asyncio.run(main()) == [1]
        step._log_destroy_pending = False

    def test_two_loops_and_a_thread_share_the_values(self, manager):
        job = manager.submit(numbers, 3_000)
        lists = [[] for _ in range(3)]

        async def main(mine):
            async for value in job:
                mine.append(value)
                await asyncio.sleep(0)

        threads = [threading.Thread(target=lambda mine=mine: asyncio.run(main(mine))) for mine in lists[:2]]
        threads.append(threading.Thread(target=lambda: lists[2].extend(job)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(value for mine in lists for value in mine) == list(range(3_000))


class TestAsyncGenerators:
    def test_threads_can_read_them(self, manager):
        job = manager.submit(anumbers, 5)
        assert list(job) == [0, 1, 2, 3, 4]
        assert job.get(5) is None

    def test_code_can_give_one(self, manager):
        assert list(manager.new("anumbers(3)", {"anumbers": anumbers})) == [0, 1, 2]

    def test_one_that_was_made_elsewhere_is_a_value(self, manager):
        mine = anumbers(3)
        assert manager.submit(lambda: mine).get(5) is mine

    def test_it_raises_what_it_raises(self, manager):
        async def breaks():
            yield 1
            raise KeyError("torn")

        values = iter(manager.submit(breaks))
        assert next(values) == 1
        with pytest.raises(KeyError, match="torn"):
            next(values)

    def test_it_stops_at_the_bound_and_its_loop_goes_on(self, manager, until):
        made, ticks = [], []

        async def work():
            async def tick():
                while True:
                    ticks.append(1)
                    await asyncio.sleep(0.001)

            other = asyncio.create_task(tick())
            for number in range(20):
                made.append(number)
                yield number
            other.cancel()

        job = manager.options(buffersize=3).submit(work)
        until(lambda: job.waiting_for == "reader")
        assert made == [0, 1, 2, 3]
        seen = len(ticks)
        until(lambda: len(ticks) > seen + 5)
        assert list(job) == list(range(20))

    def test_who_waits_for_the_end_is_not_left_waiting(self, manager, until):
        job = manager.options(buffersize=1).submit(anumbers, 50)
        until(lambda: job.waiting_for == "reader")
        job.join(10)
        assert job.state == "done"
        assert list(job) == list(range(50))

    @pytest.mark.parametrize("how", ["kill", "stop"])
    @pytest.mark.parametrize("at", ["bound", "await"])
    def test_its_finally_runs_when_it_is_ended(self, manager, until, how, at):
        steps, waits = [], threading.Event()

        async def work():
            try:
                while True:
                    if at == "await" and len(steps) == 2:
                        waits.set()
                        await asyncio.sleep(1000 if how == "kill" else 0.01)
                    steps.append("made")
                    yield "made"
            finally:
                await asyncio.sleep(0)
                steps.append("cleaned")

        job = manager.options(buffersize=2 if at == "bound" else 1000).submit(work)
        if at == "bound":
            until(lambda: job.waiting_for == "reader")
        else:
            assert waits.wait(10)
        assert job.kill() if how == "kill" else job.stop(grace=None)
        assert job.state == "killed"
        assert steps[-1] == "cleaned"
        assert steps.count("made") == (3 if at == "bound" or how == "stop" else 2)

    def test_a_coroutine_that_sends_never_blocks_its_loop(self, manager, until):
        async def work():
            for number in range(50):
                rjobs.current_job().send(number)
            return "all sent"

        job = manager.options(buffersize=2).submit(work)
        until(job.done)
        assert list(job) == list(range(50))
