"""A reader who does what a document says: saves its files, pastes its commands, looks at what comes.

The reader sits in a folder like a checkout after `make run`: `.venv/bin` is on the path, `models` holds the
four example models. The only differences are the ports, which are free ones.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.markdown import ROOT
from tests.service import environment

import sigmax
import sigmax_training

SERVES = ("make run", ".venv/bin/sigmax serve", "sigmax serve", "sigmax --config sigmax.toml serve")
"""Commands that answer until they are told to stop; a new one replaces the one before."""

STAND_INS = {"make run": ".venv/bin/sigmax serve --models models"}
"""What is run instead, because the models are trained and the packages installed already."""

PORTS = ("8080", "8081")
_START_SECONDS = 60
_COMMAND_SECONDS = 120
_STOP_SECONDS = 20


class Reader:
    """One reader of one document.

    Attributes:
        home: the folder that the reader sits in.
    """

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        self._ports = free_ports()
        self._service: subprocess.Popen[bytes] | None = None
        self._log = home.parent / "service.log"
        rest, grpc = self._ports
        self._environment = environment(
            PATH=f"{home / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
            PYTHONPATH=os.pathsep.join(
                str(Path(str(package.__file__)).parents[1]) for package in (sigmax, sigmax_training)
            ),
            PYTHONDONTWRITEBYTECODE="1",
            ORT_DISABLE_TELEMETRY="1",  # for the reader who loads a graph by hand
            SIGMAX_SERVE_REST_PORT=rest,
            SIGMAX_SERVE_GRPC_PORT=grpc,
            COLUMNS="200",
            **variables,
        )

    def here(self, text: str) -> str:
        """A document's text with this reader's ports."""
        for documented, port in zip(PORTS, self._ports, strict=True):
            for host in ("localhost", "127.0.0.1"):
                text = text.replace(f"{host}:{documented}", f"{host}:{port}")
        return text

    def save(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.here(text))

    def do(self, command: str) -> tuple[list[str], int]:
        """Paste a command.

        Returns:
            The lines that it prints, and its exit code; of a service its first words, and 0.
        """
        if command.startswith(SERVES):
            return self._serve(STAND_INS.get(command, command)), 0
        done = subprocess.run(
            ["bash", "-c", self.here(command)],
            cwd=self.home,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        return done.stdout.rstrip().splitlines(), done.returncode

    def _serve(self, command: str) -> list[str]:
        self.leave()
        with self._log.open("wb") as log:
            self._service = service = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
            )
        assert service.stdout is not None
        readable, _, _ = select.select([service.stdout], [], [], _START_SECONDS)
        greeting = service.stdout.read(2**16) if readable else b""
        assert greeting, f"the service did not start: {self._log.read_text()}"
        return greeting.decode().rstrip().splitlines()

    def leave(self) -> None:
        """End the service, if one runs."""
        service, self._service = self._service, None
        if service is not None:
            service.terminate()
            service.communicate(timeout=_STOP_SECONDS)


@contextmanager
def reader(folder: Path, repository: Path, **variables: str) -> Iterator[Reader]:
    """A reader in a new folder, with models of their own, and with these variables in the environment."""
    home = folder / "sigmax"
    shutil.copytree(repository, home / "models")
    shutil.copytree(ROOT / "proto", home / "proto", ignore=shutil.ignore_patterns("__pycache__"))
    _install(home / ".venv" / "bin")
    one = Reader(home, **variables)
    try:
        yield one
    finally:
        one.leave()


def _install(bin_folder: Path) -> None:
    """The commands of a virtual environment, run by this interpreter."""
    bin_folder.mkdir(parents=True)
    (bin_folder / "activate").touch()
    _script(bin_folder / "python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for name, module in (("sigmax", "sigmax.cli"), ("sigmax-train", "sigmax_training.cli")):
        _script(bin_folder / name, f"#!{sys.executable}\nfrom {module} import main\nmain()\n")


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def free_ports() -> tuple[str, str]:
    """Two ports that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return str(one.getsockname()[1]), str(other.getsockname()[1])
