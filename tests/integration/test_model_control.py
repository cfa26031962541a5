"""Models loaded and unloaded on request in a service of two workers: what one answers, all do."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.integration.test_reloading import until
from tests.lifecycle import ready, workers
from tests.service import Service, call, running
from tests.unit.sigmax.changing import Repository

from sigmax.conform import report
from sigmax.conform.suite import Result, Target, check
from sigmax.wire import open_inference_grpc_pb2 as pb

ON = ("--workers", "2", "--model-control", "--poll", "0.05")
ROWS = {"rows": [[1.5, 2.5], [0, -3]]}
TIMES = 16
"""Connections after which both of two workers have been asked, but for one time in 30,000."""

INDEX = "/v2/repository/index"
LOAD, UNLOAD = (f"/v2/repository/models/small/{verb}" for verb in ("load", "unload"))
SAID = "model 'small' was unloaded on request: load it, and it answers again"
UNLOADED = {(503, f'{{"error":"{SAID}","code":"NOT_READY"}}'), (503, "grpc")}
_REQUEST_ID = re.compile(r',"request_id":"[^"]*"')
_READY = pb.ModelReadyRequest(name="small").SerializeToString()


def published(root: Path) -> Repository:
    """The models `small` and `other`."""
    (root / "models").mkdir()
    found = Repository(root / "models", root / "workshop")
    found.publish(1)
    found.publish(1, name="other")
    return found


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return published(tmp_path)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """For tests that leave it as they found it."""
    repository = published(tmp_path_factory.mktemp("service"))
    with running(repository.root, *ON, "--require", "small") as started:
        yield started


def connect(service: Service) -> HTTPConnection:
    """A connection of its own, with no more around it: many of them take no time."""
    return HTTPConnection(service.rest.removeprefix("http://"), timeout=60)


def ask(connection: HTTPConnection, method: str, path: str, document: Any = None) -> tuple[int, str]:
    connection.request(method, path, b"" if document is None else json.dumps(document))
    answer = connection.getresponse()
    return answer.status, _REQUEST_ID.sub("", answer.read().decode())


def post(service: Service, path: str, document: Any = None) -> tuple[int, str]:
    with closing(connect(service)) as connection:
        return ask(connection, "POST", path, document)


def get(service: Service, path: str) -> tuple[int, str]:
    with closing(connect(service)) as connection:
        return ask(connection, "GET", path)


def everywhere(service: Service) -> set[tuple[int, str]]:
    """What comes over many connections: answers of REST, and whether the model is ready by gRPC."""
    found = {post(service, "/v1/models/small:classes", ROWS) for _ in range(TIMES)}
    for _ in range(TIMES):
        with grpc.insecure_channel(service.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            answer = call(channel, "/inference.GRPCInferenceService/ModelReady", _READY)
            found.add((200 if pb.ModelReadyResponse.FromString(answer).ready else 503, "grpc"))
    return found


def index(service: Service) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(post(service, INDEX)[1])
    return found


def versions(service: Service) -> list[tuple[str, str]]:
    """The model in the index."""
    return [(one["version"], one["state"]) for one in index(service) if one["name"] == "small"]


def version(service: Service) -> str:
    """What one worker answers with."""
    return str(json.loads(post(service, "/v1/models/small:classes", ROWS)[1])["version"])


def other_is(service: Service, number: str) -> bool:
    """Whether every worker answers with a version of the other model."""
    return {"name": "other", "version": number, "state": "READY", "reason": ""} in index(service)


@contextmanager
def asking_the_other(service: Service) -> Iterator[list[str]]:
    """Requests for the other model over two connections, until the block ends; what each came to."""
    stop, outcomes = threading.Event(), list[str]()

    def go_on() -> None:
        with closing(connect(service)) as connection:
            while not stop.is_set():
                try:
                    outcomes.append(ask(connection, "POST", "/v1/models/other:classes", ROWS)[1])
                except OSError as error:
                    outcomes.append(repr(error))

    with ThreadPoolExecutor(2) as threads:
        for _ in range(2):
            threads.submit(go_on)
        try:
            yield outcomes
        finally:
            stop.set()


def test_every_worker_refuses_what_was_unloaded_and_answers_what_was_loaded(service: Service) -> None:
    with asking_the_other(service) as outcomes:
        until(lambda: len(outcomes) > TIMES)
        before = everywhere(service)
        assert len(before) == 2
        for _ in range(2):
            assert post(service, UNLOAD) == (200, '{"name":"small","unload":true}')
            assert everywhere(service) == UNLOADED
            assert versions(service) == [("1", "UNAVAILABLE")]
            assert get(service, "/v2/health/ready")[0] == 503
            assert post(service, LOAD) == (200, '{"name":"small","load":true}')
            assert everywhere(service) == before
            assert versions(service) == [("1", "READY")]
            assert get(service, "/v2/health/ready")[0] == 200
        counted = get(service, "/metrics")[1]

    assert len(set(outcomes)) == 1
    assert '"results"' in outcomes[0]
    assert 'sigmax_model_control_total{code="OK",verb="unload"} 2.0' in counted


def test_what_was_unloaded_stays_so_whatever_becomes_of_files_and_workers(repository: Repository) -> None:
    with running(repository.root, *ON) as service:
        until(lambda: len(workers(service)) == 2)
        assert post(service, UNLOAD)[0] == 200

        repository.publish(2)  # a new version
        repository.publish(2, name="other")
        until(lambda: other_is(service, "2"))
        assert everywhere(service) == UNLOADED

        first, second = workers(service)  # a worker that dies
        os.kill(first, signal.SIGKILL)
        until(lambda: first not in workers(service) and is_whole(service))
        assert everywhere(service) == UNLOADED

        service.process.send_signal(signal.SIGHUP)  # all of them renewed
        until(lambda: second not in workers(service) and len(workers(service)) == 2 and is_whole(service))
        until(lambda: first not in workers(service) and is_whole(service))
        assert everywhere(service) == UNLOADED
        assert set(versions(service)) == {("2", "UNAVAILABLE"), ("1", "UNAVAILABLE")}

        assert post(service, LOAD)[0] == 200
        assert {status for status, _ in everywhere(service)} == {200}
        assert version(service) == "2"
        repository.publish(3)  # and it goes live by itself again
        until(lambda: versions(service) == [("3", "READY")])


def test_a_worker_that_is_starting_meanwhile_is_told_before_its_first_request(repository: Repository) -> None:
    with running(repository.root, *ON) as service:
        until(lambda: len(workers(service)) == 2)
        before = everywhere(service)
        while_renewed(service, UNLOAD)
        assert everywhere(service) == UNLOADED
        while_renewed(service, LOAD)
        assert everywhere(service) == before


def while_renewed(service: Service, path: str) -> None:
    """Ask for something as soon as the first new worker is started, and wait until all are."""
    old = set(workers(service))
    service.process.send_signal(signal.SIGHUP)
    until(lambda: not old.issuperset(workers(service)))
    assert post(service, path)[0] == 200
    until(lambda: old.isdisjoint(workers(service)) and is_whole(service))


def is_whole(service: Service) -> bool:
    """Whether both workers are ready."""
    return ready(get(service, "/metrics")[1]) == 2


def test_a_broken_version_is_the_reason_and_the_old_one_answers(repository: Repository) -> None:
    with running(repository.root, "--workers", "2", SIGMAX_SERVE_MODEL_CONTROL="1") as service:
        before = everywhere(service)
        repository.publish(2, good=False)
        status, said = post(service, LOAD)

        assert status == 503
        assert "model 'small': version 2 was refused: row 0, class 'z'" in said
        assert "; version 1 answers" in said
        assert everywhere(service) == before
        assert versions(service) == [("2", "UNAVAILABLE"), ("1", "READY")]


def test_callers_that_contradict_each_other_leave_all_workers_of_one_mind(service: Service) -> None:
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(post, service, path) for path in [LOAD, UNLOAD] * 20]
        assert {one.result()[0] for one in asked} == {200}

    assert len(everywhere(service)) == 2
    assert len(versions(service)) == 1
    assert post(service, LOAD)[0] == 200
    assert version(service) == "1"


def test_a_worker_that_dies_in_the_middle_holds_no_caller_up(repository: Repository) -> None:
    with running(repository.root, *ON) as service, ThreadPoolExecutor(1) as thread:
        until(lambda: len(workers(service)) == 2)
        with closing(connect(service)) as connection:
            ask(connection, "GET", "/v2")  # a worker has accepted it: that one is to answer
            stopped = next(pid for pid in workers(service) if not holds(pid, connection.sock))
            os.kill(stopped, signal.SIGSTOP)
            answer = thread.submit(ask, connection, "POST", UNLOAD)
            until(lambda: post(service, "/v1/models/small:classes", ROWS)[0] == 503)  # by the one that can
            assert not answer.done()
            os.kill(stopped, signal.SIGKILL)
            assert answer.result(60) == (200, '{"name":"small","unload":true}')
        until(lambda: stopped not in workers(service) and is_whole(service))
        assert everywhere(service) == UNLOADED


def holds(pid: int, connection: socket.socket) -> bool:
    """Whether a process has the other end of a connection."""
    local, remote = connection.getsockname()[1], connection.getpeername()[1]
    ends = f":{remote:04X} ", f":{local:04X} "
    table = [line for line in Path("/proc/net/tcp").read_text().splitlines() if all(e in line for e in ends)]
    inode = next(line.split()[9] for line in table if line.split()[1].endswith(ends[0].strip()))
    return any(str(link.readlink()) == f"socket:[{inode}]" for link in Path(f"/proc/{pid}/fd").iterdir())


def test_the_checklist_of_the_protocol_is_kept(service: Service) -> None:
    only = ["X", "X.listed", "X.index*", "X.load*", "X.unload", "GX.index", "GX.load"]

    run = check(Target(service.rest, service.grpc, "small", may_write=True), only, lambda _: None)

    assert [report.line(one) for one in run.outcomes if one.result is not Result.PASSED] == []
    assert len(run.outcomes) == 9


@pytest.mark.parametrize(
    "path", ["models/../load", "models/%2e%2e/load", "models/..%2f..%2fetc/unload", "../repository/index"]
)
def test_no_path_leads_out_of_the_repository(service: Service, path: str) -> None:
    assert post(service, f"/v2/repository/{path}")[0] == 404
    assert version(service) == "1"
