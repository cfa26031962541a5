"""One target under a fuzzer that is guided by what code an input reaches: run by the environment build/fuzz.

    python -m tests.fuzz.guided NAME FOLDER [--real MODEL/VERSION] [-runs=1000000] [-max_total_time=60] …

The options with one dash are libFuzzer's. The inputs that reached something new are kept in FOLDER; a find is
written there, too, and told as Python on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import atheris

MAX_BYTES = 4_096
LIMITS = (f"-max_len={MAX_BYTES}", "-timeout=10", "-rss_limit_mb=1500", "-mutate_depth=1")

with atheris.instrument_imports(include=["sigmax.rest", "sigmax.rpc", "sigmax.protocol"]):
    from tests.fuzz.targets import Target, target


def main() -> None:
    """Run until libFuzzer ends the process."""
    name, folder, *options = sys.argv[1:]
    real = Path(options[options.index("--real") + 1]) if "--real" in options else None
    flags = [option for option in options if option[:1] == "-" and option[:2] != "--"]
    fuzzed = target(name, real)
    corpus = Path(folder) / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(fuzzed.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    found = f"-artifact_prefix={folder}/{name}-"
    atheris.Setup(
        [sys.argv[0], found, *LIMITS, *flags, str(corpus)],
        _check(fuzzed),
        custom_mutator=_mutator(fuzzed),
    )
    atheris.Fuzz()


def _check(fuzzed: Target) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        try:
            fuzzed.check(data)
        except BaseException:
            sys.stderr.write(f"find = {data!r}\n")
            raise

    return check


def _mutator(fuzzed: Target) -> Callable[[bytes, int, int], bytes]:
    random = Random(1)  # making one of each seed would take as long as a mutation

    def mutate(data: bytes, max_size: int, _: int) -> bytes:
        return fuzzed.mutated(bytes(data), random, _rewritten)[:max_size]

    return mutate


def _rewritten(data: bytes, _: Random) -> bytes:
    changed: bytes = atheris.Mutate(data, MAX_BYTES)
    return changed


if __name__ == "__main__":
    main()
