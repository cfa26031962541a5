"""Commands to all workers: in order, remembered, and never a caller that waits for ever."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from sigmax.errors import DeadlineExceeded, NotFound, NotReady
from sigmax.inference.control import Indexed
from sigmax.runtime.channel import Channel
from sigmax.runtime.child import Child, State
from sigmax.runtime.commands import LATE, Commands
from sigmax.runtime.everywhere import ELSEWHERE, NOTHING, Everywhere, merged
from sigmax.runtime.spawn import Message

DEADLINE = 20


class Worker:
    """One that answers when it is told to."""

    state = State.READY

    def __init__(self, name: str, answers: bool = True) -> None:
        self.name, self.asked, self.may_answer = name, list[str](), asyncio.Event()
        if answers:
            self.may_answer.set()

    async def ask(self, message: Message) -> Any:
        self.asked.append(f"{message['verb']} {message['model']}")
        await self.may_answer.wait()
        return f"{self.name}: {message['verb']}"


def all_of(*workers: Worker) -> list[Child]:
    return [cast(Child, worker) for worker in workers]


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), DEADLINE))


def test_commands_for_one_model_are_put_in_order_and_others_do_not_wait() -> None:
    async def scenario() -> None:
        commands, worker = Commands(DEADLINE), Worker("a", answers=False)
        verbs = [("load", "m"), ("unload", "m"), ("load", "m"), ("unload", "other")]
        given = [asyncio.create_task(commands.give(all_of(worker), *command)) for command in verbs]
        while len(worker.asked) < 2:
            await asyncio.sleep(0)
        assert worker.asked == ["load m", "unload other"]
        worker.may_answer.set()
        answers = await asyncio.gather(*given)
        assert worker.asked == ["load m", "unload other", "unload m", "load m"]
        assert answers == [["a: load"], ["a: unload"], ["a: load"], ["a: unload"]]
        assert commands.unloaded == ["other"]

    run(scenario)


def test_what_is_unloaded_is_remembered_before_the_first_worker_is_told() -> None:
    """A worker that is started meanwhile has it from its orders."""

    async def scenario() -> None:
        commands, worker = Commands(DEADLINE), Worker("a", answers=False)
        unloading = asyncio.create_task(commands.give(all_of(worker), "unload", "m"))
        while not worker.asked:
            await asyncio.sleep(0)
        assert commands.unloaded == ["m"]
        worker.may_answer.set()
        await unloading
        await commands.give([], "load", "m")
        assert commands.unloaded == []

    run(scenario)


def test_a_worker_that_does_not_answer_in_time_is_late_and_the_others_have_their_say() -> None:
    async def scenario() -> None:
        commands = Commands(0.01)
        answers = await commands.give(all_of(Worker("a"), Worker("b", answers=False)), "load", "m")
        assert answers == ["a: load", LATE]
        with pytest.raises(DeadlineExceeded, match="model 'm': a process has not done so in time"):
            await everywhere({"code": "OK"}, LATE).load("m")

    run(scenario)


def test_a_command_given_before_the_channel_is_open_is_not_lost() -> None:
    async def scenario() -> None:
        ours, theirs = socket.socketpair()
        channel = Channel(lambda _: None, lambda: None)
        channel.send({"kind": "command", "number": 1})
        channel.send({"kind": "command", "number": 2})
        ours.setblocking(False)
        await channel.open(ours)
        channel.send({"kind": "command", "number": 3})
        reader, writer = await asyncio.open_connection(sock=theirs)
        assert [json.loads(await reader.readline())["number"] for _ in range(3)] == [1, 2, 3]
        channel.close()
        writer.close()
        await channel.closed.wait()

    run(scenario)


def everywhere(*answers: Any) -> Everywhere:
    async def command(verb: str, model: str) -> list[Any]:
        return list(answers)

    return Everywhere(command)


def test_an_error_of_one_process_is_the_answer_with_its_code() -> None:
    failed = {"code": "NOT_FOUND", "text": "unknown model 'm'"}

    async def scenario() -> None:
        with pytest.raises(NotFound, match="unknown model 'm'"):
            await everywhere({"code": "OK"}, NOTHING, failed, LATE).unload("m")
        await everywhere({"code": "OK"}, NOTHING).unload("m")
        listed = {"code": "OK", "index": [["m", "1", "READY", ""]]}
        assert await everywhere(listed, NOTHING, LATE).index() == [Indexed("m", "1", "READY", "")]
        with pytest.raises(NotReady, match="no process of the service says what it has"):
            await everywhere(NOTHING, LATE).index()

    run(scenario)


def test_only_what_is_ready_in_every_process_is_ready_in_the_service() -> None:
    one, two = Indexed("m", "1", "READY", ""), Indexed("m", "2", "READY", "")
    refused, unloaded = Indexed("m", "3", "UNAVAILABLE", "bad"), Indexed("n", "", "UNAVAILABLE", "unloaded")

    assert merged([[one], [one]]) == [one]
    assert merged([[two, refused], [two, refused, unloaded]]) == [refused, two, unloaded]
    assert merged([[two], [one]]) == [
        two._replace(state="LOADING", reason=ELSEWHERE),
        one._replace(state="LOADING", reason=ELSEWHERE),
    ]
    again = Indexed("m", "2", "UNAVAILABLE", "bad")
    assert merged([[two], [again]]) == [two._replace(state="LOADING", reason="bad")]
    loading = unloaded._replace(state="LOADING", reason="")
    assert merged([[unloaded], [loading], [unloaded]]) == [loading]
