"""`sigmax doctor` says what would be chosen and why, and what would keep a service from starting."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from sigmax.cli import PREFIX, cli
from sigmax.runtime import doctor, weighing
from sigmax.runtime.doctor import Asked, Level

MODELS = Path(__file__).parents[3] / "fixtures" / "format_1"


def asked(**options: object) -> Asked:
    told = {"models": MODELS, "host": "127.0.0.1", "rest_port": 0, "grpc_port": 0, "workers": None}
    return Asked(**{**told, **options})  # type: ignore[arg-type]


def found(name: str, **options: object) -> doctor.Finding:
    return next(finding for finding in doctor.examine(asked(**options)) if finding.name == name)


def test_nothing_keeps_a_service_from_starting_here() -> None:
    assert [finding for finding in doctor.examine(asked()) if finding.level is Level.BAD] == []


def test_a_port_that_is_taken_does() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        finding = found("gRPC port", grpc_port=port)

    assert finding.level is Level.BAD
    assert finding.text == f"gRPC cannot listen on 127.0.0.1:{port}: address already in use"


def test_a_repository_that_is_not_there_does(tmp_path: Path) -> None:
    assert found("models", models=tmp_path / "none").level is Level.BAD


def test_more_workers_than_cores_are_noted() -> None:
    assert found("workers", workers=10_000).level is Level.NOTE


def test_the_instruction_sets_are_those_of_the_processor(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("model name\t: x\nflags\t\t: fpu avx2 fma avx512f\n")

    assert doctor.instructions(tmp_path / "cpuinfo") == ["avx2", "fma", "avx512f"]


@pytest.mark.parametrize(("taken", "code"), [(False, 0), (True, 1)])
def test_the_exit_code_says_whether_it_would_start(taken: bool, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1] if taken else 0
        arguments = ["doctor", "--models", str(MODELS), "--rest-port", str(port), "--grpc-port", "0"]

        plain = CliRunner().invoke(cli, arguments)
        as_json = CliRunner().invoke(cli, [*arguments, "--json"])

    assert (plain.exit_code, as_json.exit_code) == (code, code)
    levels = {one["level"] for one in json.loads(as_json.output)}
    assert ("bad" in levels) is taken


def test_each_model_is_measured_and_one_that_cannot_be_served_is_named(
    repository: Path, tmp_path: Path
) -> None:
    shutil.copytree(repository / "iris", tmp_path / "iris")
    (tmp_path / "broken" / "1").mkdir(parents=True)

    found = {one.name: one for one in weighing.findings(tmp_path)}

    assert [rows for rows, _ in found["model iris"].value["curve"]][:4] == [1, 2, 4, 8]
    assert "runs on the event loop" in found["model iris"].text
    assert (found["model broken"].value, found["model broken"].level) == (None, Level.NOTE)


def test_it_is_asked_about_what_serve_is_told(tmp_path: Path) -> None:
    file = tmp_path / "sigmax.toml"
    file.write_text("[serve]\nworkers = 3\nmax_rows = 5\n")
    variables = {f"{PREFIX}_SERVE_MODELS": str(MODELS), f"{PREFIX}_SERVE_REST_PORT": "0"}

    ended = CliRunner().invoke(
        cli, ["--config", str(file), "doctor", "--grpc-port", "0", "--json"], env=variables
    )

    values = {one["name"]: one["value"] for one in json.loads(ended.output)}
    assert (values["workers"], values["models"]) == (3, ["iris"])
