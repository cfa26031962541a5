"""One run: what it finds by itself, how it ends, and what becomes of a server that is silent or strange."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.unit.sigmax.conform import faults
from tests.unit.sigmax.conform.reference import MODELS, Answered, Asked, Reference, said, serving

from sigmax.cli import cli
from sigmax.conform import http, report
from sigmax.conform.suite import Target, check, everything

COUNT = len(list(everything()))


@contextmanager
def faulty(http: Any = None) -> Iterator[tuple[str, str]]:
    """The address of a server with a fault."""
    reference = Reference()
    reference.http_fault = http
    with serving(reference) as addresses:
        yield addresses


def conform(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["conform", *arguments])


def by_id(printed: str) -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in json.loads(printed)["checks"]}


def test_a_server_that_keeps_all_rules_ends_in_0_and_one_line_a_check() -> None:
    with faulty() as (url, grpc):
        ended = conform(url, "--grpc", grpc)

    assert ended.exit_code == 0, ended.output
    lines = [line for line in ended.output.splitlines() if line.startswith("  ")]
    assert len(lines) == COUNT
    assert " passed, 0 failed, " in ended.output.splitlines()[-1]


def test_a_broken_rule_ends_in_1_with_expected_got_and_whom_it_concerns() -> None:
    with faulty(faults.DETAIL) as (url, _):
        ended = conform(url, "--only", "R9")

    assert ended.exit_code == 1
    assert ended.output.splitlines()[1:] == [
        '  FAIL R9                     SHOULD an unknown address is 404 and {"error": text}',
        '         expected 404 and {"error": text}',
        '         got      422 {"detail": "no"}',
        "         concerns tritonclient raises 'failed to decode' instead of the reason",
        "0 passed, 1 failed (1 SHOULD), 0 skipped",
    ]


def test_json_has_every_check_with_its_rule_and_result() -> None:
    with faulty(faults.DETAIL) as (url, _):
        ended = conform(url, "--json", "--only", "R*", "--only", "G1", "--model", "single")

    document = json.loads(ended.output)
    assert (document["url"], document["grpc"], document["model"]) == (url, None, "single")
    assert sum(document["summary"].values()) == len(document["checks"])
    rows = by_id(ended.output)
    assert rows["R1"]["result"] == "passed"
    assert rows["R9"]["got"] == '422 {"detail": "no"}'
    assert rows["R9"]["breaks"].startswith("tritonclient")
    assert rows["G1"]["reason"] == "no --grpc HOST:PORT was given"


def test_checks_are_chosen_by_level_too() -> None:
    with faulty() as (url, _):
        rows = by_id(conform(url, "--json", "--only", "MUST").output)

    assert {row["level"] for row in rows.values()} == {"MUST"}


def test_nobody_there_ends_in_2() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        ended = conform(f"http://127.0.0.1:{held.getsockname()[1]}")

    assert ended.exit_code == 2
    assert "no answer to GET /v2/health/live" in ended.output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["localhost:8080"], "expected http://HOST:PORT"),
        (["{url}", "--model", "nobody"], "expected the metadata of model 'nobody'"),
        (["{url}", "--only", "Z*"], "no check matches Z*"),
        (["{url}", "--timeout", "0"], "Invalid value for '--timeout'"),
    ],
)
def test_wrong_usage_ends_in_2_and_says_what_was_expected(arguments: Sequence[str], text: str) -> None:
    with faulty() as (url, _):
        ended = conform(*(one.format(url=url) for one in arguments))

    assert ended.exit_code == 2
    assert text in ended.output


def without(*paths: str) -> Callable[..., Answered]:
    """A server that has not these addresses."""

    def http(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
        return said({"error": "no"}, 404) if asked.path in paths else right(asked)

    return http


@pytest.mark.parametrize("absent", [(), ("/v2/models",)])
def test_the_model_is_found_by_each_list_of_models(absent: tuple[str, ...]) -> None:
    with faulty(without(*absent)) as (url, _):
        run = check(Target(url), ["R3"], lambda _: None)

    assert run.model == next(iter(MODELS))
    assert not report.failed(run)


def test_without_any_list_the_person_is_asked_for_the_model() -> None:
    with faulty(without("/v2/models", "/v2/repository/index", "/v1/models")) as (url, _):
        ended = conform(url)

    assert ended.exit_code == 2
    assert "say which with --model" in ended.output


def test_a_silent_address_fails_its_own_check_and_no_other() -> None:
    woken = Event()

    def silent(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
        if asked.path == "/v2/":
            woken.wait(10)
        return right(asked)

    with faulty(silent) as (url, _):
        rows = by_id(conform(url, "--json", "--only", "R4*", "--only", "R5*", "--timeout", "2").output)
        woken.set()

    assert [name for name, row in rows.items() if row["result"] == "failed"] == ["R4.slash"]
    assert rows["R4.slash"]["got"] == "no answer to GET /v2/ within 2 s"


def test_a_server_that_hangs_up_on_wrong_requests_fails_those_checks_alone() -> None:
    with faulty(faults.DIES) as (url, _):
        rows = by_id(conform(url, "--json", "--only", "E.body*", "--only", "R6.id").output)

    assert rows["R6.id"]["result"] == "passed"
    assert {row["result"] for name, row in rows.items() if name.startswith("E.")} == {"failed"}
    assert rows["E.body.text"]["got"].startswith("no answer to POST /v2/models/mixed/infer")


def test_a_server_that_is_gone_is_not_waited_for_check_by_check() -> None:
    def gone(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
        if asked.path == "/v2/":
            reference.asleep.add("all")
        return Answered(0, b"") if "all" in reference.asleep else right(asked)

    reference = Reference()
    reference.http_fault = gone
    with serving(reference) as (url, _):
        rows = by_id(conform(url, "--json", "--only", "R4*", "--only", "R5*").output)

    results = [row["result"] for row in rows.values()]
    assert results == ["passed", "failed", "failed", "failed", *["skipped"] * (len(results) - 4)]
    assert rows["R5.unknown"]["reason"] == "the server has stopped answering"


def test_an_answer_that_nobody_foresaw_fails_the_check_and_not_the_run() -> None:
    strange = faults.edited(faults.INFER, lambda document: {"outputs": [[], 1, None]})

    with faulty(strange.http) as (url, _):
        rows = by_id(conform(url, "--json", "--only", "R6*").output)

    assert rows["R6"]["result"] == "failed"
    assert {row["result"] for row in rows.values()} <= {"failed", "skipped"}


def test_a_report_holds_nothing_that_a_terminal_would_obey() -> None:
    text = b'{"error": "\x1b[2J \\ud800 \x07"}'

    with faulty(lambda asked, right: Answered(500, text) if asked.path == "/v2/" else right(asked)) as (
        url,
        _,
    ):
        lines = conform(url, "--only", "R4.slash")
        document = conform(url, "--only", "R4.slash", "--json")

    assert (lines.exit_code, document.exit_code) == (1, 1)
    assert all(line.isprintable() for line in [*lines.output.splitlines(), *document.output.splitlines()])


@pytest.mark.parametrize("form", ["{url}/", "{url}//"])
def test_a_slash_behind_the_address_does_not_matter(form: str) -> None:
    with faulty() as (url, _):
        ended = conform(form.format(url=url), "--only", "R*")

    assert ended.exit_code == 0, ended.output


def test_a_request_from_a_file_serves_a_model_that_refuses_what_is_made(tmp_path: Any) -> None:
    def only_b(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
        known = not faults.infers(asked) or b'"b"' in asked.body
        return right(asked) if known else said({"error": "that text is not known"}, 400)

    request = tmp_path / "request.json"
    request.write_text('{"inputs": [{"name": "texts", "shape": [1, 1], "datatype": "BYTES", "data": ["b"]}]}')
    with faulty(only_b) as (url, _):
        made = by_id(conform(url, "--model", "words", "--json", "--only", "R6*").output)
        given = by_id(
            conform(url, "--model", "words", "--json", "--only", "R6*", "--request", str(request)).output
        )

    assert made["R6"]["got"] == '400 {"error": "that text is not known"}'
    assert made["R6.id"]["reason"].startswith("no request is known that the model answers")
    assert {row["result"] for row in given.values()} <= {"passed", "skipped"}


def test_a_run_sends_no_more_requests_than_it_says() -> None:
    asked: list[str] = []

    def counting(one: Asked, right: Callable[[Asked], Answered]) -> Answered:
        asked.append(one.path)
        return right(one)

    reference = Reference()
    reference.http_fault = counting
    reference.rpc_fault = lambda one, right: (asked.append(one.method), right(one))[1]  # type: ignore[func-returns-value]
    with serving(reference) as (url, grpc):
        run = check(Target(url, grpc, may_write=True), [], lambda _: None)

    assert not report.failed(run)
    assert len(asked) <= http.MAX_REQUESTS


def test_nothing_is_loaded_or_unloaded_unless_it_is_asked_for() -> None:
    moved: list[str] = []

    def watching(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
        if "/repository/models/" in asked.path:
            moved.append(asked.path)
        return right(asked)

    with faulty(watching) as (url, _):
        rows = by_id(conform(url, "--json", "--only", "X.*load*").output)
        assert moved == []
        by_id(conform(url, "--json", "--only", "X.*load*", "--write").output)

    assert {row["result"] for row in rows.values()} == {"skipped"}
    assert moved
