"""A service of several processes is weighed whole, those that have ended too."""

import sys
import time
from pathlib import Path

from benchmarks import processes

CHILD = """
import sys, time
while time.process_time() < 0.3:
    pass
if sys.argv[1] == "stay":
    print("burnt", flush=True)
    time.sleep(60)
"""
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, sys.argv[1], "end"], check=True)
subprocess.run([sys.executable, sys.argv[1], "stay"])
"""


def test_cpu_time_is_that_of_children_that_run_and_of_those_that_have_ended(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    command = [sys.executable, "-c", PARENT, str(tmp_path / "child.py")]
    with processes.running(command, lambda output: b"burnt" in output) as pid:
        used = processes.cpu_seconds(pid)

    assert used >= 0.6 - 0.04  # a tick for each of four counters that are rounded down


def test_nothing_of_a_server_is_left_when_it_is_ended(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    command = [sys.executable, "-c", PARENT, str(tmp_path / "child.py")]
    with processes.running(command, lambda output: b"burnt" in output) as pid:
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

    give_up = time.monotonic() + 10
    while runs(child) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert not runs(child)


def runs(pid: str) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
