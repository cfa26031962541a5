"""Everything of `make fuzz`: the REST surface from its own description, then each target of `targets`.

python -m tests.fuzz.run [--models models] [--runs 1000000] [--seconds 120] [--only rest-infer] …
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.targets import DOORS
from tests.service import running

ROOT = Path(__file__).parents[2]
BIN = ROOT / "build/fuzz/bin"
FOUND = ROOT / "build/fuzz-finds"
SURFACE = "surface"

SKIPPED = ("positive_data_acceptance", "negative_data_rejection")
"""Checks of Schemathesis that are no promise: a schema cannot say that an array is as long as its shape, and
null is taken for an option or a list that is absent."""


def main() -> int:
    """Run what was asked for; how many parts of it found something."""
    asked = _arguments()
    parts = asked.only or [SURFACE, *DOORS]
    FOUND.mkdir(parents=True, exist_ok=True)
    failed = [part for part in parts if not _passes(part, asked)]
    sys.stdout.write(f"failed: {', '.join(failed)}\n" if failed else "nothing was found\n")
    return len(failed)


def _passes(part: str, asked: argparse.Namespace) -> bool:
    sys.stdout.write(f"==> {part}\n")
    sys.stdout.flush()
    if part == SURFACE:
        return surface(asked.models, asked.seconds)
    command = [BIN / "python", "-m", "tests.fuzz.guided", part, FOUND, f"-runs={asked.runs}"]
    real = asked.models / "iris" / "1"
    return _run([*command, *(["--real", real] if real.is_dir() else []), "-print_final_stats=1"])


def surface(models: Path, seconds: int) -> bool:
    """Whether the description is valid, and every answer of a real service is as it says."""
    with running(models) as service:
        address = f"{service.rest}/openapi.json"
        document = FOUND / "openapi.json"
        with urllib.request.urlopen(address, timeout=20) as answer:
            document.write_text(json.dumps(json.load(answer)))
        limits = [f"--max-time={seconds}", "--max-response-time=5", "--phases=examples,coverage,fuzzing"]
        checks = [f"--exclude-checks={','.join(SKIPPED)}", "--continue-on-failure"]
        return _run([BIN / "openapi-spec-validator", document]) and _run(
            [BIN / "st", "run", address, *limits, *checks]
        )


def _run(command: Sequence[object]) -> bool:
    paths = os.pathsep.join([str(ROOT / "service"), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": paths}
    return subprocess.run(list(map(str, command)), cwd=FOUND, env=environment).returncode == 0


def _arguments() -> argparse.Namespace:
    reader = argparse.ArgumentParser(prog="python -m tests.fuzz.run")
    reader.add_argument(
        "--models", type=lambda text: Path(text).absolute(), default=Path("models").absolute()
    )
    reader.add_argument("--runs", type=int, default=1_000_000, help="executions of each target")
    reader.add_argument("--seconds", type=int, default=120, help="how long Schemathesis asks a service")
    reader.add_argument("--only", action="append", choices=[SURFACE, *DOORS], help="these parts alone")
    return reader.parse_args()


if __name__ == "__main__":
    sys.exit(main())
