"""The extension `statistics`: of models whose requests run at once, and of those who share runs."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import numpy as np
import pytest
from google.protobuf import json_format
from tests.unit.sigmax.inference.engines import BRIEF, COSTLY, PATIENCE, Held, Picky, Watched, serve
from tests.unit.sigmax.manifests import BINARY

from sigmax.errors import InvalidInput, NotFound, NotReady, Overloaded
from sigmax.inference.batching import Batching, Limits
from sigmax.inference.catalog import Catalog, Entry
from sigmax.inference.costs import UNMEASURED, Costs
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.engine import Engine
from sigmax.inference.readiness import Readiness
from sigmax.inference.statistics import NEEDED, Statistics, own
from sigmax.rest.asgi import Answer, Body
from sigmax.rest.front import rest_door
from sigmax.rpc.inference_protocol import InferenceService
from sigmax.rpc.statistics import ModelStatistics
from sigmax.telemetry import totals
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import open_inference_grpc_pb2 as pb

STAGES = ("queue", "compute_input", "compute_infer", "compute_output")


class Asked:
    """Both doors to a model that is called `small`, and to one that is called `stats`."""

    def __init__(self, engine: Engine, costs: Costs = UNMEASURED, limits: Limits | None = None) -> None:
        metrics = Metrics()
        small = serve(engine, BINARY, costs)
        refused = Entry("refused", None, {2: "broken"})
        catalog = Catalog([Entry("small", small), Entry("stats", small), refused])
        self.batching = Batching(metrics.lane, limits)
        dispatch, ready = Dispatch(catalog, 100, self.batching), Readiness(catalog)
        self.rest = rest_door(catalog, dispatch, ready, metrics, 2**20)
        self.rpc = InferenceService(catalog, dispatch, ready, metrics)
        self.statistics = Statistics(catalog, own(metrics))

    async def get(self, path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.rest)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.get(path)

    async def classes(self, *firsts: float, **document: Any) -> Answer:
        route = self.rest.find("/v1/models/small:classes")
        assert route is not None
        document = {"rows": [[first, 0] for first in firsts], **document}
        said = self.rest.answer(route, Body(httpx.Request("POST", "http://x", json=document).content))
        return said if isinstance(said, Answer) else await said

    async def infer(self, *firsts: float) -> bytes:
        message = pb.ModelInferRequest(model_name="small")
        message.inputs.add(name="features", datatype="FP64", shape=[len(firsts), 2])
        message.raw_input_contents.append(np.array([[first, 0.0] for first in firsts]).tobytes())
        said = self.rpc.model_infer(message.SerializeToString())
        return said if isinstance(said, bytes) else await said

    async def small(self) -> dict[str, Any]:
        said: dict[str, Any] = (await self.statistics("small"))["model_stats"][0]
        return said

    async def settled(self) -> dict[str, Any]:
        """The statistics once no run is on its way any more."""
        await asyncio.to_thread(self.batching.close)
        await asyncio.sleep(0)
        return await self.small()


def counts(said: dict[str, Any]) -> dict[str, int]:
    return {name: block["count"] for name, block in said["inference_stats"].items()}


def nanoseconds(said: dict[str, Any]) -> dict[str, int]:
    return {name: block["ns"] for name, block in said["inference_stats"].items()}


def whole(said: dict[str, Any]) -> bool:
    """Whether the requests took at least what their stages did."""
    took = nanoseconds(said)
    return took["success"] >= sum(took[stage] for stage in STAGES)


def sizes(said: dict[str, Any]) -> dict[int, int]:
    """Runs by how many rows they had."""
    return {batch["batch_size"]: batch["compute_infer"]["count"] for batch in said["batch_stats"]}


def test_a_model_that_was_never_asked_has_zeros_in_every_block() -> None:
    never = {"count": 0, "ns": 0}
    blocks = ("success", "fail", *STAGES, "cache_hit", "cache_miss")

    assert asyncio.run(Asked(Watched()).small()) == {
        "name": "small",
        "version": "1",
        "last_inference": 0,
        "inference_count": 0,
        "execution_count": 0,
        "inference_stats": dict.fromkeys(blocks, never),
        "response_stats": {},
        "batch_stats": [],
        "memory_usage": [],
    }


def test_requests_of_every_verb_and_door_are_counted_as_one_model() -> None:
    async def test() -> dict[str, Any]:
        asked = Asked(Watched())
        await asked.classes(1)
        await asked.classes(2, 3)
        await asked.infer(1, 2)
        return await asked.small()

    said = asyncio.run(test())

    assert counts(said) == {
        **dict.fromkeys(("success", *STAGES), 3),
        **dict.fromkeys(("fail", "cache_hit", "cache_miss"), 0),
    }
    assert (said["inference_count"], said["execution_count"], sizes(said)) == (5, 3, {1: 1, 2: 2})
    took = nanoseconds(said)
    assert took["queue"] == 0 < min(took[stage] for stage in STAGES[1:])
    assert took["success"] == sum(took[stage] for stage in STAGES)


def test_failures_that_know_their_model_are_counted_and_others_are_not() -> None:
    async def test() -> dict[str, Any]:
        asked = Asked(Picky())
        for rows in ([13], [], ["x"]):
            answer = await asked.classes(*rows)  # an engine that fails, no rows, no number
            assert answer.status in (400, 500)
        assert (await asked.classes(1, options={"threshold": {"maybe": 0.5}})).status == 400
        route = asked.rest.find("/v1/models/nobody:classes")
        assert route is not None
        asked.rest.answer(route, Body(b"{}"))
        return await asked.small()

    said = asyncio.run(test())

    assert counts(said)["fail"] == 4
    assert counts(said)["success"] == said["inference_count"] == 0
    assert nanoseconds(said)["fail"] > 0


def test_requests_that_share_a_run_are_a_success_each_with_what_they_waited() -> None:
    async def test() -> dict[str, Any]:
        asked = Asked(engine := Held(), COSTLY)
        first = asyncio.create_task(asked.classes(0.5))
        await asyncio.to_thread(engine.wait_for_a_run)
        others = [asyncio.create_task(asked.classes(*rows)) for rows in ((1,), (2, 3))]
        others.append(asyncio.create_task(asked.infer(4)))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        engine.let_go()
        await asyncio.wait_for(asyncio.gather(first, *others), PATIENCE)
        assert engine.runs == [[0.5], [1, 2, 3, 4]]
        return await asked.settled()

    said = asyncio.run(test())

    assert counts(said)["success"] == counts(said)["queue"] == counts(said)["compute_infer"] == 4
    assert (said["inference_count"], said["execution_count"], sizes(said)) == (5, 2, {1: 1, 4: 1})
    took = nanoseconds(said)
    assert min(took[stage] for stage in STAGES) > 0
    assert whole(said)
    of_runs = [batch["compute_infer"]["ns"] for batch in said["batch_stats"]]
    assert of_runs[0] + 3 * of_runs[1] == pytest.approx(took["compute_infer"], abs=4)  # each is rounded
    for stage in ("compute_input", "compute_output"):
        assert sum(batch[stage]["ns"] for batch in said["batch_stats"]) == pytest.approx(took[stage], abs=4)


def test_a_request_that_is_computed_in_pieces_is_one_success_of_several_runs() -> None:
    async def test() -> dict[str, Any]:
        asked = Asked(Watched(), COSTLY)
        await asked.classes(*range(10))
        return await asked.settled()

    said = asyncio.run(test())

    assert counts(said)["success"] == 1
    assert (said["inference_count"], said["execution_count"], sizes(said)) == (10, 3, {2: 1, 4: 2})
    assert whole(said)


def test_a_request_that_is_alone_is_a_run_on_the_loop_with_its_wait() -> None:
    async def test() -> dict[str, Any]:
        asked = Asked(engine := Watched(), BRIEF)
        await asked.classes(1, 2)
        assert engine.threads == [threading.get_ident()]
        return await asked.settled()

    said = asyncio.run(test())

    assert (counts(said)["success"], said["execution_count"], sizes(said)) == (1, 1, {2: 1})
    assert nanoseconds(said)["queue"] > 0
    assert whole(said)


def test_of_a_run_that_failed_each_request_runs_alone_and_only_the_cause_is_a_failure() -> None:
    class HeldAndPicky(Held):
        """Runs are held, and one with a row that begins with 13 fails."""

        def _note(self, features: Any) -> None:
            super()._note(features)
            if 13 in features[:, 0]:
                raise RuntimeError("no such luck")

    async def test() -> dict[str, Any]:
        asked = Asked(engine := HeldAndPicky(), COSTLY)
        tasks = [asyncio.create_task(asked.classes(1))]
        await asyncio.to_thread(engine.wait_for_a_run)
        tasks += [asyncio.create_task(asked.classes(first)) for first in (2, 13, 3)]
        await asyncio.sleep(0)
        engine.let_go()
        await asyncio.wait(tasks, timeout=PATIENCE)
        return await asked.settled()

    said = asyncio.run(test())

    assert (counts(said)["success"], counts(said)["fail"]) == (3, 1)
    assert (said["execution_count"], sizes(said)) == (3, {1: 3})
    assert whole(said)


def test_a_request_that_is_refused_for_a_full_queue_is_a_failure_and_no_run() -> None:
    async def test() -> dict[str, Any]:
        asked = Asked(engine := Held(), COSTLY, Limits(max_queue_rows=1))
        first = asyncio.create_task(asked.classes(0.5))
        await asyncio.to_thread(engine.wait_for_a_run)
        with pytest.raises(Overloaded):
            await asked.classes(1)
        engine.let_go()
        await first
        return await asked.settled()

    said = asyncio.run(test())

    assert (counts(said)["success"], counts(said)["fail"], said["execution_count"]) == (1, 1, 1)


def test_both_doors_say_the_same() -> None:
    async def test() -> None:
        asked = Asked(Watched())
        await asked.classes(1, 2)
        answer = ModelStatistics(asked.statistics)
        for rest, name, version in (
            ("/v2/models/stats", "", ""),
            ("/v2/models/small/stats", "small", ""),
            ("/v2/models/small/versions/1/stats", "small", "1"),
        ):
            message = pb.ModelStatisticsRequest(name=name, version=version)
            response = pb.ModelStatisticsResponse.FromString(await answer(message.SerializeToString()))
            expected = json_format.ParseDict((await asked.get(rest)).json(), pb.ModelStatisticsResponse())
            assert response == expected
            assert response.model_stats[0].inference_count == 2

    asyncio.run(test())


def test_every_model_that_answers_is_told_and_one_whose_versions_were_refused_is_not() -> None:
    async def test() -> None:
        asked = Asked(Watched())

        assert len((await asked.statistics())["model_stats"]) == 2
        with pytest.raises(NotReady, match="model 'refused' version 2 was refused: broken"):
            await asked.statistics("refused", "2")
        with pytest.raises(NotFound, match="unknown model 'nobody'"):
            await asked.statistics("nobody")
        with pytest.raises(NotFound, match="model 'small' has no version '2' ready, version 1 is"):
            await asked.statistics("small", "2")
        with pytest.raises(InvalidInput, match="version '1' of no model: name the model, too"):
            await asked.statistics("", "1")

    asyncio.run(test())


def test_a_model_that_is_called_stats_is_reached_by_every_address_but_its_shortest() -> None:
    async def test() -> None:
        asked = Asked(Watched())

        assert "model_stats" in (await asked.get("/v2/models/stats")).json()
        assert "inputs" in (await asked.get("/v2/models/stats/versions/1")).json()
        assert "model_stats" in (await asked.get("/v2/models/stats/stats")).json()
        assert (await asked.get("/v2/models/stats/ready")).json() == {"name": "stats", "ready": True}

    asyncio.run(test())


def test_figures_that_nobody_gathers_are_said_to_be_missing() -> None:
    async def silent() -> totals.Figures:
        raise NotReady("the supervisor of this service does not answer")

    async def test() -> None:
        catalog = Catalog([Entry("small", serve(Watched(), BINARY, UNMEASURED))])
        with pytest.raises(NotReady, match="does not answer"):
            await Statistics(catalog, silent)()

    asyncio.run(test())


def test_the_families_that_are_asked_for_are_all_that_is_read() -> None:
    async def test() -> None:
        asked = Asked(Watched())
        await asked.classes(1)
        said = await asked.small()

        async def picked() -> totals.Figures:
            return dict(totals.of(await asked.statistics._gather(), NEEDED))

        assert (await Statistics(asked.statistics._catalog, picked)("small"))["model_stats"] == [said]

    asyncio.run(test())
