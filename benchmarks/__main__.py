"""Measure everything that docs/benchmarks.md shows of the service: `make bench`."""

from __future__ import annotations

import sys

from benchmarks import batching, concurrency, doors, latency, many, openloop, section, start, swap, workers

SECTIONS = tuple(
    module.SECTION for module in (doors, concurrency, latency, openloop, workers, batching, start, many, swap)
)

if __name__ == "__main__":
    arguments = section.options("python -m benchmarks", "every section")
    sys.exit(section.run([one for one in SECTIONS if arguments.only in one.title], arguments))
