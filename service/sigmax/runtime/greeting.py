"""What a person is told when the service answers: the addresses and, for each model, two lines to paste."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from sigmax import __version__
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.runtime.settings import Settings

_REACHABLE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


def greeting(settings: Settings, catalog: Catalog, program: str, rest_port: int, grpc_port: int) -> str:
    """The text.

    Args:
        settings: of the service.
        catalog: what it serves.
        program: how this program was called, to be called again by the lines to paste.
        rest_port: where REST answers.
        grpc_port: where gRPC answers.
    """
    host = _REACHABLE.get(settings.host, f"[{settings.host}]" if ":" in settings.host else settings.host)
    rest = f"http://{host}:{rest_port}"
    lines = [f"Sigmax {__version__} answers: REST {rest}, gRPC {host}:{grpc_port}, documentation {rest}/docs"]
    for entry in catalog.entries:
        lines += ["", *_model(entry, settings.models, program, rest)]
    if not catalog.entries:
        lines += ["", f"{settings.models} holds no model yet; publish one with: sigmax-train run JOB"]
    return "\n".join(lines)


def _model(entry: Entry, models: Path, program: str, rest: str) -> Iterator[str]:
    if entry.served is None:
        reason = next(iter(entry.rejected.values()), "it has no version")
        yield f"{entry.name}: nothing to serve: {reason}"
        return
    manifest = entry.served.manifest
    size = f"{manifest.n_features} features, {len(manifest.classes)} classes"
    yield f"{entry.name} version {manifest.version}: {manifest.task}, {size}"
    for version, reason in entry.rejected.items():
        yield f"  version {version} was refused: {reason}"
    yield from (f"  {line}" for line in _to_paste(entry.served, models, program, rest))


def _to_paste(served: Served, models: Path, program: str, rest: str) -> Iterator[str]:
    example = _relative(models / served.name / served.version / "example.json")
    yield shlex.join(["curl", "-s", f"{rest}/v1/models/{served.name}:classes", "-d", f"@{example}"])
    yield shlex.join(
        [*_called(program), "predict", served.name, "--models", _relative(models), "--input", example]
    )


def _called(program: str) -> list[str]:
    """How to call the program again; a package that Python ran is no program of its own."""
    if Path(program).name == "__main__.py":
        return ["python", "-m", "sigmax"]
    return [_relative(Path(program)) if os.sep in program else program]


def _relative(path: Path) -> str:
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)
