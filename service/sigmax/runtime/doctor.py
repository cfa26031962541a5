"""What a service would be on this machine, and why: for `sigmax doctor`, which changes nothing."""

from __future__ import annotations

import platform
import resource
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any

from sigmax import __version__
from sigmax.repository import layout
from sigmax.runtime import machine, ports

_LIBRARIES = ("onnxruntime", "grpcio", "numpy", "uvicorn", "uvloop", "httptools", "fastapi", "protobuf")
_INSTRUCTIONS = ("avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_tile", "asimd", "sve")
_COMFORTABLE_FILES = 1024
_MIGRATE = Path("/proc/sys/net/ipv4/tcp_migrate_req")
_SOMAXCONN = Path("/proc/sys/net/core/somaxconn")
_CPUINFO = Path("/proc/cpuinfo")
_MIB = 2**20


class Level(StrEnum):
    """What a finding means."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what.
        value: what was found, for programs.
        text: the same for people, and what follows from it.
        level: bad is what keeps the service from starting.
    """

    name: str
    value: Any
    text: str
    level: Level = Level.GOOD

    def document(self) -> dict[str, Any]:
        """The finding for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Asked:
    """What `sigmax serve` would be told; the names are its own."""

    models: Path
    host: str
    rest_port: int
    grpc_port: int
    workers: int | None


def examine(asked: Asked) -> list[Finding]:
    """Everything that was found, in the order in which it is read."""
    return [
        *_processors(asked.workers),
        _memory(),
        _open_files(),
        *_network(asked),
        _repository(asked.models),
        *_versions(),
    ]


def text(findings: list[Finding]) -> str:
    """The findings for people: a line each, what deserves attention marked."""
    marks = {Level.GOOD: " ", Level.NOTE: "!", Level.BAD: "x"}
    width = max(len(finding.name) for finding in findings)
    return "\n".join(f"{marks[one.level]} {one.name:{width}}  {one.text}" for one in findings)


def _processors(asked: int | None) -> Iterator[Finding]:
    cores = machine.cores()
    quota = "no quota" if cores.quota is None else f"a quota of {cores.quota:g}"
    yield Finding(
        "cores",
        {"seen": cores.seen, "affinity": cores.affinity, "quota": cores.quota, "granted": cores.granted},
        f"{cores.granted} granted: {cores.seen} seen, {cores.affinity} by affinity, {quota}",
    )
    workers = asked or cores.granted
    many = workers > cores.granted
    why = "as many as cores are granted" if asked is None else "as told"
    more = "; more than cores, so that they wait for each other" if many else ""
    yield Finding("workers", workers, f"{workers}: {why}{more}", Level.NOTE if many else Level.GOOD)
    yield Finding(
        "threads",
        1,
        "1 a worker answers, 1 computes costly models; more cores: more processes, not more threads",
    )
    found = instructions()
    words = ", ".join(found) or "none that is known"
    yield Finding("instructions", found, f"{words} ({platform.machine()})")


def instructions(cpuinfo: Path = _CPUINFO) -> list[str]:
    """Which instruction sets that ONNX Runtime makes use of this processor has."""
    for line in _read(cpuinfo).splitlines():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):
            present = set(flags.split())
            return [name for name in _INSTRUCTIONS if name in present]
    return []


def _memory() -> Finding:
    limit, total = machine.memory_limit(), machine.memory()
    has = f"{total // _MIB} MiB" if total else "an unknown amount"
    if limit is None:
        return Finding("memory", {"limit": None, "total": total}, f"no limit; the machine has {has}")
    return Finding("memory", {"limit": limit, "total": total}, f"limited to {limit // _MIB} MiB of {has}")


def _open_files() -> Finding:
    soft, hard = machine.open_files()
    value = {"soft": soft, "hard": hard}
    if hard == resource.RLIM_INFINITY:
        return Finding("open files", value, "no limit")
    said = f"{hard} a process" + (f" (raised from {soft})" if soft != hard else "")
    if hard < machine.FEWEST_FILES:
        return Finding("open files", value, f"{said}: a worker needs {machine.FEWEST_FILES}", Level.BAD)
    if hard < _COMFORTABLE_FILES:
        return Finding(
            "open files", value, f"{said}: each connection takes one; raise `ulimit -n`", Level.NOTE
        )
    return Finding("open files", value, said)


def _network(asked: Asked) -> Iterator[Finding]:
    yield _port("REST", asked.host, asked.rest_port)
    yield _port("gRPC", asked.host, asked.grpc_port)
    waiting = _number(_SOMAXCONN)
    few = waiting is not None and waiting < ports.BACKLOG
    said = f"{ports.BACKLOG} connections may wait to be accepted"
    yield Finding(
        "backlog",
        {"asked": ports.BACKLOG, "somaxconn": waiting},
        f"{said}, the system allows {waiting} (net.core.somaxconn)" if few else said,
        Level.NOTE if few else Level.GOOD,
    )
    yield _migration()


def _port(door: str, host: str, port: int) -> Finding:
    reason = ports.refusal(door, host, port)
    name = f"{door} port"
    if reason:
        return Finding(name, {"host": host, "port": port, "free": False}, reason, Level.BAD)
    which = "a free one will be taken" if port == 0 else f"{host}:{port} is free"
    return Finding(name, {"host": host, "port": port, "free": True}, which)


def _migration() -> Finding:
    value = _number(_MIGRATE)
    if value:
        return Finding(
            "tcp_migrate_req", value, "1: connections that wait on a worker that leaves go to another"
        )
    meaning = (
        "gRPC connections that a worker has not accepted yet are reset when it leaves, and clients connect "
        "anew; `sysctl net.ipv4.tcp_migrate_req=1` hands them to another worker"
    )
    known = "0" if value == 0 else "this system has none"
    return Finding("tcp_migrate_req", value, f"{known}: {meaning}", Level.NOTE)


def _repository(models: Path) -> Finding:
    if not models.is_dir():
        return Finding("models", None, f"{models} is no folder", Level.BAD)
    try:
        names = layout.names(models)
    except OSError as error:
        return Finding("models", None, f"{models} cannot be read: {error.strerror}", Level.BAD)
    if not names:
        return Finding("models", [], f"{models} holds none: the service starts and is not ready", Level.NOTE)
    return Finding("models", list(names), f"{len(names)} in {models}")


def _versions() -> Iterator[Finding]:
    yield Finding("sigmax", __version__, __version__)
    yield Finding("python", platform.python_version(), f"{platform.python_version()}, {platform.platform()}")
    for library in _LIBRARIES:
        try:
            version = metadata.version(library)
        except metadata.PackageNotFoundError:
            yield Finding(library, None, "is not installed: pip install 'sigmax[serve]'", Level.BAD)
        else:
            yield Finding(library, version, version)


def _number(path: Path) -> int | None:
    try:
        return int(_read(path))
    except ValueError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
