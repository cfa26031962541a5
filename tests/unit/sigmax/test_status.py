"""`sigmax status`: what it prints of what a service answers, and when all is well."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sigmax.cli import cli

WORKER = {"pid": 7, "state": "ready", "seconds": 12.5, "loading": ""}
MODEL = {
    "name": "iris",
    "ready": True,
    "version": "2",
    "since": "2026-01-02T03:04:05Z",
    "refused": [],
    "note": "",
    "unloaded": False,
}
WELL: dict[str, Any] = {
    "service": "sigmax",
    "version": "0.1.0",
    "ready": True,
    "reason": "",
    "processes": {"wanted": 1, "workers": [WORKER], "restarts": {}, "last_death": None},
    "models": [MODEL],
}


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/status" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep still."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def status(document: Any, *arguments: str) -> Result:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    with answering(body) as url:
        return CliRunner().invoke(cli, ["status", url, *arguments])


def of_model(**changes: Any) -> dict[str, Any]:
    return {**WELL, "models": [{**MODEL, **changes}]}


def of_processes(**changes: Any) -> dict[str, Any]:
    return {**WELL, "processes": {**WELL["processes"], **changes}}


def test_what_is_well_is_a_line_a_process_and_a_model() -> None:
    said = status(WELL)

    assert said.exit_code == 0
    assert said.output.splitlines() == [
        "Sigmax 0.1.0: ready",
        "worker 7: ready for 12 s",
        "iris: version 2 since 2026-01-02T03:04:05Z",
    ]


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ({**WELL, "ready": False, "reason": "no model"}, "Sigmax 0.1.0: not ready: no model"),
        (of_model(refused=[{"version": "3", "reason": "bad"}]), "  version 3 refused: bad"),
        (of_model(note="gone"), "  gone"),
        (of_model(ready=False), "iris: nothing to serve"),
        (of_processes(wanted=2), "worker 7: ready for 12 s"),
        (of_processes(workers=[{**WORKER, "state": "starting"}]), "worker 7: starting for 12 s"),
    ],
)
def test_what_is_not_well_is_said_and_exit_code_1(document: dict[str, Any], line: str) -> None:
    said = status(document)

    assert said.exit_code == 1
    assert line in said.output.splitlines()


def test_a_model_that_was_unloaded_on_request_is_as_it_should_be() -> None:
    said = status(of_model(ready=False, version="", since="", unloaded=True))

    assert said.exit_code == 0
    assert "iris: unloaded on request" in said.output.splitlines()


def test_workers_that_died_are_told_and_all_is_well_again() -> None:
    death = {"pid": 5, "reason": "killed by SIGKILL", "at": 1.0}

    said = status(of_processes(restarts={"signal": 2}, last_death=death))

    assert said.exit_code == 0
    assert "workers that died: 2 by signal; the last: killed by SIGKILL" in said.output.splitlines()


def test_as_json_it_is_what_the_service_says() -> None:
    said = status(of_model(note="gone"), "--json")

    assert said.exit_code == 1
    assert json.loads(said.output) == of_model(note="gone")


@pytest.mark.parametrize("body", [b"hello", b"[]", b'{"status": "alive"}', b"\xff"])
def test_another_service_is_no_traceback(body: bytes) -> None:
    said = status(body)

    assert said.exit_code == 1
    assert said.output.startswith("Error: http://127.0.0.1:")
    assert "does not answer as Sigmax does" in said.output
