from __future__ import annotations

import asyncio
import gc
import math
import threading
import weakref
from collections.abc import Awaitable
from typing import Any

import numpy as np
import pytest
from tests.unit.sigmax.inference.engines import (
    BRIEF,
    COSTLY,
    PATIENCE,
    Held,
    Picky,
    Watched,
    serve,
)
from tests.unit.sigmax.manifests import BINARY, with_logits

from sigmax.errors import DeadlineExceeded, NotReady, Overloaded
from sigmax.inference.batching import Batching, Gathering, Limits, Numbers, Queue, Waiting
from sigmax.inference.catalog import Served
from sigmax.inference.costs import MAX_BATCH_BYTES, Costs
from sigmax.inference.engine import Engine
from sigmax.inference.predictor import Predictor
from sigmax.telemetry.metrics import Metrics


class Asking:
    """Requests to one engine; row by row they begin with numbers by which the engine remembers them."""

    def __init__(self, engine: Engine, costs: Costs = COSTLY, limits: Limits | None = None) -> None:
        self.metrics = Metrics()
        self.batching = Batching(self.metrics.lane, limits)
        self.predictor, self.costs = Predictor(with_logits(BINARY), engine), costs

    async def ask(self, *firsts: float, **arguments: Any) -> asyncio.Task[Numbers]:
        """A request that has been handed over, or refused, when this returns."""
        features = np.array([[first, 0.0] for first in firsts])
        run = self.batching.run(self.predictor, self.costs, features, **arguments)
        task = asyncio.create_task(run)
        await asyncio.sleep(0)
        return task

    async def said(self, *tasks: Awaitable[Numbers]) -> list[list[float]]:
        """The first probabilities' complement of each request's rows."""
        answers = await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
        return [answer.probabilities[:, 1].tolist() for answer in answers]

    def series(self, name: str) -> float:
        line = next(line for line in self.metrics.exposition().decode().splitlines() if line.startswith(name))
        return float(line.rsplit(" ", 1)[1])


async def busy(engine: Held, asking: Asking) -> asyncio.Task[Numbers]:
    """A request whose run has begun and is held."""
    first = await asking.ask(0.5)
    await asyncio.to_thread(engine.wait_for_a_run)
    return first


def test_what_came_while_a_run_computed_is_the_next_run() -> None:
    async def test() -> None:
        asking = Asking(engine := Held())
        tasks = [await busy(engine, asking)] + [await asking.ask(first) for first in (1, 2, 3)]
        engine.let_go()

        assert await asking.said(*tasks) == [[0.5], [1], [2], [3]]
        assert engine.runs == [[0.5], [1, 2, 3]]
        asking.batching.close()

    asyncio.run(test())


def test_a_run_has_a_bounded_number_of_rows() -> None:
    async def test() -> None:
        asking = Asking(engine := Held())
        tasks = [await busy(engine, asking)]
        tasks += [await asking.ask(*firsts) for firsts in ((1, 2), (3,), (4, 5), (6, 7, 8, 9), (10,))]
        engine.let_go()
        await asking.said(*tasks)
        asking.batching.close()

        assert engine.runs == [[0.5], [1, 2, 3], [4, 5], [6, 7, 8, 9], [10]]

    asyncio.run(test())


def test_an_operators_bound_counts_instead_of_the_measured_one() -> None:
    async def test() -> None:
        asking = Asking(engine := Held(), limits=Limits(max_batch_rows=1))
        tasks = [await busy(engine, asking), await asking.ask(1), await asking.ask(2)]
        engine.let_go()
        await asking.said(*tasks)
        asking.batching.close()

        assert engine.runs == [[0.5], [1], [2]]

    asyncio.run(test())


def test_the_earliest_deadline_is_computed_first_and_whoever_has_none_as_they_came_last() -> None:
    async def test() -> None:
        asking = Asking(engine := Held(), limits=Limits(max_batch_rows=1))
        tasks = [await busy(engine, asking)]
        for first, seconds in ((1, None), (2, 8), (3, 7), (4, None), (5, 9)):
            tasks.append(await asking.ask(first, seconds=seconds))
        engine.let_go()
        await asking.said(*tasks)
        asking.batching.close()

        assert [run[0] for run in engine.runs] == [0.5, 3, 2, 5, 1, 4]

    asyncio.run(test())


def test_nobody_is_overtaken_for_ever_by_those_who_name_a_deadline() -> None:
    async def test() -> None:
        queue = Queue(Predictor(BINARY, Watched()), 1, since=100.0)
        for order, (since, deadline) in enumerate([(100.0, math.inf), (100.5, 200.0), (109.0, 109.9)]):
            queue.add(order, waiting_since(since, deadline))
        for order, since in enumerate([109.5, 110.5, 120.0], 3):
            queue.add(order, waiting_since(since, since + 1.0))

        taken = [queue.take(100.0).batch[0].since for _ in range(6)]

        assert taken == [109.0, 100.0, 100.5, 109.5, 110.5, 120.0]

    asyncio.run(test())


def waiting_since(since: float, deadline: float) -> Waiting:
    future: asyncio.Future[Numbers] = asyncio.get_running_loop().create_future()
    return Waiting(np.ones((1, 2)), False, since, deadline, future)


def test_where_the_system_grants_no_thread_the_next_request_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def test() -> None:
        asking = Asking(Watched())
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="new thread"):
                await (await asking.ask(1))

        assert await asking.said(await asking.ask(2)) == [[2]]
        assert asking.series("sigmax_queue_rows") == 0
        asking.batching.close()

    asyncio.run(test())


def test_a_request_whose_deadline_passed_is_not_computed_and_counted() -> None:
    async def test() -> None:
        asking = Asking(engine := Held())
        tasks = [await busy(engine, asking), await asking.ask(1, seconds=0.0), await asking.ask(2)]
        engine.let_go()

        with pytest.raises(DeadlineExceeded, match="the deadline passed while the request waited"):
            await tasks[1]
        assert await asking.said(tasks[0], tasks[2]) == [[0.5], [2]]
        assert engine.runs == [[0.5], [2]]
        assert asking.series('sigmax_queue_dropped_total{model="small",reason="expired"') == 1
        asking.batching.close()

    asyncio.run(test())


def test_a_request_that_is_alone_is_not_computed_either_once_its_deadline_passed() -> None:
    async def test() -> None:
        asking = Asking(engine := Watched(), BRIEF)

        with pytest.raises(DeadlineExceeded):
            await (await asking.ask(1, seconds=0.0))
        assert engine.runs == []
        assert asking.series("sigmax_batch_rows_count") == 0
        asking.batching.close()

    asyncio.run(test())


def test_a_request_whose_caller_left_is_not_computed_and_counted() -> None:
    async def test() -> None:
        asking = Asking(engine := Held())
        tasks = [await busy(engine, asking), await asking.ask(1), await asking.ask(2)]
        tasks[1].cancel()
        await asyncio.wait(tasks[1:2])
        engine.let_go()

        assert await asking.said(tasks[0], tasks[2]) == [[0.5], [2]]
        assert engine.runs == [[0.5], [2]]
        assert asking.series('sigmax_queue_dropped_total{model="small",reason="cancelled"') == 1
        asking.batching.close()

    asyncio.run(test())


def test_a_caller_that_leaves_while_it_is_computed_harms_nobody() -> None:
    async def test() -> None:
        asking = Asking(engine := Held())
        first = await busy(engine, asking)
        second = await asking.ask(1)
        first.cancel()
        engine.let_go()

        assert await asking.said(second) == [[1]]
        asking.batching.close()

    asyncio.run(test())


def test_rows_beyond_the_queue_are_refused_with_a_time_to_try_again() -> None:
    async def test() -> None:
        asking = Asking(engine := Held(), limits=Limits(max_queue_rows=3))
        tasks = [await busy(engine, asking), await asking.ask(1, 2)]
        refused = await asking.ask(3)
        with pytest.raises(Overloaded, match="3 rows wait to be computed, and at most 3 may") as error:
            await refused
        assert error.value.retry_after == pytest.approx(3 * COSTLY.per_row)
        assert asking.series("sigmax_queue_rows") == 3
        engine.let_go()
        await asking.said(*tasks)

        assert await asking.said(await asking.ask(4)) == [[4]]
        assert asking.series("sigmax_queue_rows") == 0
        asking.batching.close()

    asyncio.run(test())


def test_a_request_larger_than_the_queue_is_answered_when_nothing_waits() -> None:
    async def test() -> None:
        asking = Asking(Watched(), limits=Limits(max_queue_rows=3))

        assert await asking.said(await asking.ask(1, 2, 3, 4, 5)) == [[1, 2, 3, 4, 5]]
        asking.batching.close()

    asyncio.run(test())


def test_a_request_of_many_rows_is_computed_in_pieces_and_others_between_them() -> None:
    async def test() -> None:
        asking = Asking(engine := Held())
        large = await asking.ask(*range(1, 11), both=True)
        await asyncio.to_thread(engine.wait_for_a_run)
        small = await asking.ask(0.5)
        engine.let_go()

        assert await asking.said(large, small) == [list(range(1, 11)), [0.5]]
        assert (await large).logits is not None
        assert engine.runs == [[1, 2, 3, 4], [0.5], [5, 6, 7, 8], [9, 10]]
        asking.batching.close()

    asyncio.run(test())


def test_one_request_that_breaks_the_engine_does_not_fail_its_neighbours() -> None:
    async def test() -> None:
        class HeldPicky(Held, Picky):
            pass

        asking = Asking(engine := HeldPicky())
        tasks = [await busy(engine, asking)] + [await asking.ask(first) for first in (1, 13, 2)]
        engine.let_go()

        with pytest.raises(RuntimeError, match="no such luck"):
            await tasks[2]
        assert await asking.said(tasks[0], tasks[1], tasks[3]) == [[0.5], [1], [2]]
        asking.batching.close()

    asyncio.run(test())


def test_logits_go_to_whoever_wants_them_and_a_run_serves_both() -> None:
    async def test() -> None:
        asking = Asking(engine := Held())
        tasks = [await busy(engine, asking), await asking.ask(1), await asking.ask(2, both=True)]
        engine.let_go()
        _, plain, both = await asyncio.gather(*tasks)

        assert engine.runs == [[0.5], [1, 2]]
        assert plain.logits is None
        assert both.logits is not None
        assert both.logits.tolist() == [[-2, 2]]
        asking.batching.close()

    asyncio.run(test())


def test_an_answer_does_not_keep_its_whole_run_in_memory() -> None:
    async def test() -> None:
        asking = Asking(engine := Held())
        tasks = [await busy(engine, asking), await asking.ask(1), await asking.ask(2)]
        engine.let_go()

        for answer in await asyncio.gather(*tasks[1:]):
            assert answer.probabilities.base is None
        await asking.said(tasks[0])
        asking.batching.close()

    asyncio.run(test())


def test_with_a_delay_a_request_waits_for_company_up_to_a_full_run() -> None:
    async def test() -> None:
        asking = Asking(engine := Watched(), BRIEF, Limits(max_batch_rows=3, max_delay=600))
        tasks = [await asking.ask(first) for first in (1, 2, 3)]

        assert await asking.said(*tasks) == [[1], [2], [3]]
        assert engine.runs == [[1, 2, 3]]
        asking.batching.close()

    asyncio.run(test())


def test_with_a_delay_a_request_without_company_is_computed_at_its_end() -> None:
    async def test() -> None:
        asking = Asking(engine := Watched(), BRIEF, Limits(max_delay=1e-3))

        assert await asking.said(await asking.ask(1)) == [[1]]
        assert engine.runs == [[1]]
        asking.batching.close()

    asyncio.run(test())


def test_nobody_waits_for_company_longer_than_half_of_the_time_that_is_left() -> None:
    async def test() -> None:
        future: asyncio.Future[Numbers] = asyncio.get_running_loop().create_future()
        queue = Queue(Predictor(BINARY, Watched()), 2, since=100.0)

        queue.add(0, Waiting(np.ones((1, 2)), False, 100.0, math.inf, future))
        assert queue.ripe(10) == 110
        queue.add(1, Waiting(np.ones((0, 2)), False, 100.0, 104.0, future))
        assert queue.ripe(10) == 102
        queue.add(2, Waiting(np.ones((1, 2)), False, 100.0, math.inf, future))
        assert queue.ripe(10) < 100

    asyncio.run(test())


def test_before_the_service_leaves_nobody_waits_for_company_any_more() -> None:
    async def test() -> None:
        asking = Asking(engine := Watched(), limits=Limits(max_delay=600))
        waiting = await asking.ask(1)
        asking.batching.hurry()

        assert await asking.said(waiting) == [[1]]
        assert await asking.said(await asking.ask(2)) == [[2]]
        assert engine.runs == [[1], [2]]
        asking.batching.close()

    asyncio.run(test())


def test_closing_computes_what_waits_and_takes_on_nothing_more() -> None:
    async def test() -> None:
        asking = Asking(engine := Held(), limits=Limits(max_delay=600))
        tasks = [await asking.ask(first) for first in (1, 2)]
        closing = asyncio.create_task(asyncio.to_thread(asking.batching.close))
        await asyncio.to_thread(engine.wait_for_a_run)
        engine.let_go()

        assert await asking.said(*tasks) == [[1], [2]]
        await closing
        with pytest.raises(NotReady, match="shutting down"):
            await asking.batching.run(asking.predictor, COSTLY, np.ones((1, 2)))
        assert engine.threads[0] != threading.get_ident()

    asyncio.run(test())


def test_without_costly_requests_there_is_no_thread() -> None:
    before = threading.active_count()

    batching = Batching(Metrics().lane)
    assert threading.active_count() == before
    batching.close()


def test_a_short_request_that_is_alone_is_computed_on_the_loop_and_others_in_the_thread() -> None:
    async def test() -> None:
        asking = Asking(engine := Watched(), BRIEF)
        await asking.said(await asking.ask(1))
        assert engine.threads == [threading.get_ident()]

        await asyncio.gather(
            *[asking.batching.run(asking.predictor, BRIEF, np.ones((1, 2))) for _ in range(3)]
        )

        assert threading.get_ident() not in engine.threads[1:]
        assert asking.series("sigmax_batch_rows_sum") == 4
        assert asking.series("sigmax_queue_seconds_count") == 4
        asking.batching.close()

    asyncio.run(test())


def test_the_loop_and_the_thread_never_run_one_engine_at_a_time() -> None:
    async def test() -> None:
        asking = Asking(engine := Held(), BRIEF)
        runs = [asking.batching.run(asking.predictor, BRIEF, np.ones((1, 2))) for _ in range(2)]
        tasks = [asyncio.create_task(run) for run in runs]
        await asyncio.to_thread(engine.wait_for_a_run)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)  # nobody waits any more, but the run goes on
        third = await asking.ask(3)
        engine.let_go()

        assert await asking.said(third) == [[3]]
        assert threading.get_ident() not in engine.threads
        asking.batching.close()

    asyncio.run(test())


def test_bytes_become_numbers_where_they_are_put_together() -> None:
    async def test() -> None:
        asking = Asking(engine := Held())
        first = await busy(engine, asking)
        octets = np.array([[7, 0]], np.uint8)
        runs = [asking.batching.run(asking.predictor, COSTLY, octets) for _ in range(2)]
        tasks = [asyncio.create_task(run) for run in runs]
        await asyncio.sleep(0)
        engine.let_go()

        assert await asking.said(first, *tasks) == [[0.5], [7], [7]]
        assert engine.runs == [[0.5], [7, 7]]
        asking.batching.close()

    asyncio.run(test())


def test_a_run_that_does_not_fit_into_the_memory_for_it_gets_memory_of_its_own() -> None:
    async def test() -> None:
        future: asyncio.Future[Numbers] = asyncio.get_running_loop().create_future()
        wide = np.ones((1, MAX_BATCH_BYTES // 8), np.uint8)
        rows = [Waiting(wide, False, 0.0, math.inf, future) for _ in range(2)]

        gathered = Gathering().gather(rows, np.dtype(np.float64))

        assert gathered.shape == (2, MAX_BATCH_BYTES // 8)
        assert gathered.dtype == np.dtype(np.float64)
        assert gathered.min() == gathered.max() == 1

    asyncio.run(test())


def test_a_replaced_version_answers_what_it_has_and_is_released() -> None:
    async def test() -> None:
        asking, old, new = Asking(Watched()), Held(), Watched()
        released = weakref.ref(old)
        before, after = serve(old, BINARY, COSTLY), serve(new, BINARY, COSTLY, "2")

        def ask(served: Served) -> asyncio.Task[Numbers]:
            return asyncio.create_task(asking.batching.run(served.predictor, COSTLY, np.ones((1, 2))))

        tasks = [ask(before)]
        await asyncio.to_thread(old.wait_for_a_run)
        tasks += [ask(before), ask(before), ask(after), ask(after)]
        await asyncio.sleep(0)
        old.let_go()
        await asking.said(*tasks)

        assert [len(run) for run in old.runs] == [1, 2]
        assert [len(run) for run in new.runs] == [2]
        tasks.clear()
        del before, old, ask
        await asking.said(await asking.ask(1))  # the thread has turned to something else
        gc.collect()
        assert released() is None
        asking.batching.close()

    asyncio.run(test())
