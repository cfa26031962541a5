"""Workers come and go, die and hang: what a client notices of it, every request accounted for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format
from tests import lifecycle
from tests.accounting import RETRY_POLICY
from tests.lifecycle import alive, answered, eventually, never_less, under_load, workers
from tests.service import Service, command, environment, running
from tests.unit.sigmax import costly

from sigmax.wire import classifier_pb2

TIMEOUT = 60


@pytest.fixture(scope="module")
def iris() -> Path:
    """A repository with one model; not to be written to."""
    return Path(__file__).parents[1] / "fixtures" / "format_1"


@pytest.fixture
def body(iris: Path) -> bytes:
    return (iris / "iris" / "1" / "example.json").read_bytes()


@pytest.fixture(scope="module")
def two(iris: Path) -> Any:
    """A service with two workers; each test leaves two workers behind."""
    with running(iris, "--workers", "2") as started:
        yield started


def metrics(service: Service) -> str:
    return httpx.get(f"{service.rest}/metrics", timeout=TIMEOUT).raise_for_status().text


def ready(service: Service) -> int:
    """Workers that are ready; 0 where none answers."""
    try:
        return lifecycle.ready(metrics(service))
    except httpx.TransportError:
        return 0


def started(models: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """A service that nobody waits for."""
    ports = ["--rest-port", "0", "--grpc-port", "0"]
    return subprocess.Popen(
        command("serve", "--models", str(models), *ports, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**variables),
    )


def first_worker(process: subprocess.Popen[str]) -> int:
    """The process of the first worker, as soon as there is one."""
    asyncio.run(eventually(lambda: bool(lifecycle.children(process.pid)), "a worker"))
    return lifecycle.children(process.pid)[0]


def half_a_request(address: str) -> socket.socket:
    """A connection on which a request has begun."""
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)))
    connection.sendall(b"POST /v1/models/iris:classes HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    return connection


def states(address: str) -> list[str]:
    """What the workers are doing."""
    said = httpx.get(f"http://{address}/status", timeout=TIMEOUT).raise_for_status().json()
    return [worker["state"] for worker in said["processes"]["workers"]]


def test_renewing_every_worker_loses_no_request(two: Service, body: bytes) -> None:
    async def twice() -> None:
        for _ in range(2):
            await lifecycle.renewed(two)

    books = asyncio.run(under_load(two, body, twice))

    assert all(account.balanced for account in books.all), books
    assert (books.rest.lost, books.rest.outcomes["refused"]) == (0, 0), books.rest.problems
    assert books.grpc_retrying.lost == 0, books.grpc_retrying.problems
    assert ready(two) == 2


def test_a_kill_loses_what_the_worker_held_and_no_total_goes_down(two: Service, body: bytes) -> None:
    totals: list[float] = []

    async def twice() -> None:
        for _ in range(2):
            totals.append(answered(await asyncio.to_thread(metrics, two)))
            await lifecycle.killed(two, lambda: ready(two))
            totals.append(answered(await asyncio.to_thread(metrics, two)))

    before = metrics(two)
    books = asyncio.run(under_load(two, body, twice))
    after = metrics(two)

    assert all(account.balanced for account in books.all), books
    assert all(lifecycle.answered_or_held(kind) for kind in books.rest.outcomes), books
    assert never_less([answered(before), *totals, answered(after)])
    assert 'sigmax_worker_restarts_total{reason="signal"} 2.0' in after


def test_a_worker_that_hangs_is_replaced_and_the_others_answer_meanwhile(two: Service, body: bytes) -> None:
    stopped = workers(two)[0]
    os.kill(stopped, signal.SIGSTOP)

    asyncio.run(eventually(lambda: stopped not in workers(two), "the worker that hangs is gone"))
    asyncio.run(eventually(lambda: ready(two) == 2, "another worker"))

    assert 'sigmax_worker_restarts_total{reason="hung"} 1.0' in metrics(two)


def test_every_worker_gives_the_totals_of_all(two: Service, body: bytes) -> None:
    before = answered(metrics(two))
    for _ in range(20):
        httpx.post(f"{two.rest}/v1/models/iris:classes", content=body).raise_for_status()

    assert {answered(metrics(two)) for _ in range(10)} == {before + 20}  # connections go to either worker


def test_a_signal_to_stop_under_load_loses_nothing(iris: Path, body: bytes) -> None:
    with running(iris, "--workers", "2") as service:

        async def stop() -> None:
            service.process.terminate()
            await asyncio.to_thread(service.process.wait, TIMEOUT)

        books = asyncio.run(under_load(service, body, stop))

        assert service.process.returncode == 0
    assert all(account.balanced for account in books.all), books
    assert books.rest.lost == 0, books.rest.problems


def test_a_second_signal_stops_at_once(iris: Path) -> None:
    with (
        running(iris, "--grace", "50") as service,
        half_a_request(service.rest.removeprefix("http://")) as connection,
    ):
        httpx.get(f"{service.rest}/v2/health/live")  # by now the half request has arrived
        service.process.terminate()
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)  # it waits for the request that has begun
        service.process.terminate()

        assert service.process.wait(TIMEOUT) == 128 + signal.SIGTERM


def test_workers_end_with_their_supervisor_and_free_the_ports(iris: Path) -> None:
    with running(iris, "--workers", "2") as service:
        left = workers(service)
        service.process.kill()
        service.process.wait(TIMEOUT)

        asyncio.run(eventually(lambda: not any(alive(pid) for pid in left), "workers gone", patience=5))
    for address in (service.rest.removeprefix("http://"), service.grpc):
        host, _, port = address.rpartition(":")
        socket.create_server((host, int(port))).close()


def test_a_worker_that_is_told_to_leave_by_hand_is_replaced(two: Service) -> None:
    told = workers(two)[0]
    os.kill(told, signal.SIGTERM)

    asyncio.run(eventually(lambda: told not in workers(two), "it has left"))
    asyncio.run(eventually(lambda: ready(two) == 2, "another worker"))


def test_a_worker_that_dies_while_all_are_renewed_is_replaced_once(two: Service) -> None:
    before = workers(two)
    two.process.send_signal(signal.SIGHUP)
    asyncio.run(eventually(lambda: len(workers(two)) == 3, "a new worker"))
    os.kill(before[1], signal.SIGKILL)

    def renewed() -> bool:
        now = workers(two)
        return len(now) >= 2 and set(before).isdisjoint(now) and ready(two) == len(now)

    asyncio.run(eventually(renewed, "only new workers, all of them ready"))

    assert len(workers(two)) == 2


def test_a_worker_that_a_signal_without_a_name_ends_is_replaced(two: Service) -> None:
    ended = workers(two)[0]
    os.kill(ended, signal.SIGRTMIN + 5)

    asyncio.run(eventually(lambda: ended not in workers(two) and len(workers(two)) == 2, "another worker"))
    asyncio.run(eventually(lambda: ready(two) == 2, "it is ready"))


def test_a_renewal_that_fails_or_is_interrupted_harms_nothing(iris: Path) -> None:
    process = started(iris, "--workers", "2")
    assert process.stdout is not None
    assert process.stderr is not None
    address = process.stdout.readline().split("REST http://")[1].split(",")[0]
    before = lifecycle.children(process.pid)
    limit = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, limit[1]))  # no worker can be started
    process.send_signal(signal.SIGHUP)
    said = next(line for line in process.stderr if "stay as they are" in line)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limit)
    same = lifecycle.children(process.pid)
    with contextlib.ExitStack() as held:
        for _ in range(10):  # both workers have begun to answer some
            held.enter_context(half_a_request(address))
        process.send_signal(signal.SIGHUP)
        asyncio.run(eventually(lambda: "leaving" in states(address), "a worker that leaves"))
        process.terminate()
    _, errors = process.communicate(timeout=TIMEOUT)

    assert same == before
    assert "Too many open files" in said
    assert process.returncode == 0
    assert " ERROR " not in errors
    assert "Traceback" not in errors


def test_workers_whose_supervisor_is_killed_do_not_wait_for_slow_clients(iris: Path) -> None:
    with running(iris, "--grace", "50") as service:
        left = workers(service)
        with half_a_request(service.rest.removeprefix("http://")):
            httpx.get(f"{service.rest}/v2/health/live")  # by now the half request has arrived
            service.process.kill()
            service.process.wait(TIMEOUT)

            asyncio.run(eventually(lambda: not any(alive(pid) for pid in left), "workers gone", patience=10))


def test_a_signal_to_stop_while_it_starts_stops_it(iris: Path) -> None:
    process = started(iris)
    os.kill(first_worker(process), signal.SIGSTOP)  # it will not be ready
    process.terminate()
    output, _ = process.communicate(timeout=TIMEOUT)

    assert (process.returncode, output) == (0, "")


def test_a_greeting_that_nobody_reads_holds_nothing_up(iris: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writes, b"x" * 4096)  # until the pipe is full
    os.set_blocking(writes, True)
    serve = command("serve", "--models", str(iris), "--workers", "1", "--grpc-port", "0")
    process = subprocess.Popen([*serve, "--rest-port", str(port)], stdout=writes, env=environment())

    def answers() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return states(f"127.0.0.1:{port}") == ["ready"]
        return False

    asyncio.run(eventually(answers, "the supervisor says that its worker is ready"))
    process.terminate()

    assert process.wait(TIMEOUT) == 0
    os.close(reads)
    os.close(writes)


def test_a_slow_start_is_not_taken_for_a_hang(iris: Path) -> None:
    process = started(iris, "--workers", "1")
    pid = first_worker(process)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(6.5)  # longer than a worker that is ready may be silent
    os.kill(pid, signal.SIGCONT)
    assert process.stdout is not None
    greeting = process.stdout.readline()
    same = lifecycle.children(process.pid)
    process.terminate()
    process.communicate(timeout=TIMEOUT)

    assert "Sigmax" in greeting
    assert same == [pid]


def test_workers_that_never_become_ready_end_the_service_with_the_reason(iris: Path, tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ImportError('no uvicorn here')\n")
    broken = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"

    process = started(iris, "--workers", "2", PYTHONPATH=broken)
    output, errors = process.communicate(timeout=TIMEOUT)

    assert (process.returncode, output) == (1, "")
    assert errors.splitlines()[-1] == (
        "sigmax: no worker can start: a library cannot be loaded: no uvicorn here"
    )


def test_workers_that_crash_before_they_are_ready_are_not_started_for_ever(
    iris: Path, tmp_path: Path
) -> None:
    (tmp_path / "uvicorn.py").write_text("import os; os.abort()\n")
    broken = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"

    process = started(iris, "--workers", "1", PYTHONPATH=broken)
    _, errors = process.communicate(timeout=TIMEOUT)

    assert process.returncode == 1
    assert errors.splitlines()[-1] == "sigmax: no worker can start: killed by SIGABRT"
    assert errors.count(" died: ") == 5


def test_too_few_open_files_are_said_at_the_start(iris: Path) -> None:
    serve = command("serve", "--models", str(iris), "--rest-port", "0", "--grpc-port", "0")
    ended = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *serve],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(),
    )

    assert ended.returncode == 1
    assert "sigmax: 40 open files are allowed" in ended.stderr


@pytest.mark.parametrize("door", ["rest", "grpc"])
def test_a_second_service_is_refused_each_port_of_the_first(two: Service, iris: Path, door: str) -> None:
    port = (two.rest if door == "rest" else two.grpc).rsplit(":", 1)[1]
    other = "grpc" if door == "rest" else "rest"
    second = subprocess.run(
        command("serve", "--models", str(iris), f"--{door}-port", port, f"--{other}-port", "0"),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(),
    )

    assert second.returncode == 1
    name = {"rest": "REST", "grpc": "gRPC"}[door]
    assert second.stderr == f"sigmax: {name} cannot listen on 127.0.0.1:{port}: address already in use\n"


def test_the_supervisor_maps_no_library_of_the_workers(two: Service) -> None:
    mapped = Path(f"/proc/{two.process.pid}/maps").read_text()
    mapped_by_worker = Path(f"/proc/{workers(two)[0]}/maps").read_text()

    for library in ("onnxruntime", "grpc", "numpy", "uvloop", "httptools", "pydantic"):
        assert f"/{library}" not in mapped
        assert f"/{library}" in mapped_by_worker or library == "pydantic"


def test_the_retry_policy_that_is_tested_is_the_documented_one() -> None:
    document = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
    text = document.split("```json retry.json\n")[1].split("```")[0]

    assert json.loads(text) == RETRY_POLICY


def test_requests_that_wait_for_company_are_answered_through_both_doors_when_the_service_stops(
    tmp_path: Path,
) -> None:
    costly.write(tmp_path)
    rest = {"rows": [{"a": 0.5, "b": 1.0}]}
    message = json_format.ParseDict({"model": "costly", **rest}, classifier_pb2.PredictClassesRequest())
    sent = message.SerializeToString()

    async def test(service: Service) -> None:
        def waiting() -> bool:
            return bool(re.search(r'^sigmax_queue_rows{model="costly",.*} 2', metrics(service), re.MULTILINE))

        async with httpx.AsyncClient() as client, grpc.aio.insecure_channel(service.grpc) as channel:
            address = f"{service.rest}/v1/models/costly:classes"
            posted = asyncio.create_task(client.post(address, json=rest, timeout=TIMEOUT))
            called = channel.unary_unary("/sigmax.v1.Classifier/PredictClasses", bytes, bytes)(sent)
            await eventually(waiting, "both requests")
            service.process.terminate()

            assert (await posted).status_code == 200
            assert await called

    with running(tmp_path, "--max-delay", "10", "--max-batch-rows", "100", "--grace", "3") as service:
        asyncio.run(test(service))
