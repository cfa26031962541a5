"""Lay out the root file system of the serving image: an interpreter, one environment, and what they load.

    python service/rootfs.py /opt/sigmax /rootfs

What is not copied is not in the image: no shell, no package manager, no pip. Runs while the image is built
(`service/Dockerfile`), on Debian's layout; why it is done so: `docs/decisions/0004-the-serving-image.md`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

UNUSED = (
    *("__pycache__", "site-packages", "config-*", "test", "tests", "*_test*.so", "_test*.so", "xx*.so"),
    *("ensurepip", "idlelib", "lib2to3", "pydoc_data", "tkinter", "_tkinter*", "turtle*", "venv"),
)
"""Of the standard library: what runs its tests, draws windows, or installs."""

UNLOADED = ("__pycache__", "tests", "onnxruntime_pybind11_state*.so")
"""Of the environment: what nobody runs. The service loads ONNX Runtime's library, not its Python extension,
which holds all of it once more (`docs/decisions/0016-onnx-runtime-through-its-c-api.md`)."""

ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/:/none\nsigmax:x:10001:10001:sigmax:/:/none\n",
    "etc/group": "root:x:0:\nsigmax:x:10001:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}

LOADED_LATER = ("libgcc_s.so.1",)
"""What glibc opens only when a thread is cancelled, so that no file names it."""


def main(environment: Path, root: Path) -> None:
    """Fill `root`, which does not exist yet."""
    _copy_skeleton(root)
    standard_library = Path(sysconfig.get_path("stdlib"))
    _copy_tree(standard_library, root, UNUSED)
    _copy_file(Path(sys.executable), root)  # under the name that the environment's link leads to
    _copy_tree(environment, root, UNLOADED)
    _keep_only_python(root / environment.relative_to("/") / "bin")
    for module in root.rglob("*.py"):
        module.chmod(0o644)  # some of the standard library are programs, too
    _copy_libraries(root, droppable=root / standard_library.relative_to("/") / "lib-dynload")
    subprocess.run(["/sbin/ldconfig", "-r", root], check=True)  # noqa: S603


def _copy_skeleton(root: Path) -> None:
    root.mkdir()
    for name in ("bin", "lib", "lib64"):  # links into usr/ since Debian 12
        if Path("/", name).is_symlink():
            (root / name).symlink_to(Path("/", name).readlink())
    (root / "usr/lib64").mkdir(parents=True)
    (root / "usr/lib").mkdir()
    (root / "usr/bin").mkdir()
    (root / "etc").mkdir()
    (root / "tmp").mkdir(mode=0o1777)
    (root / "tmp").chmod(0o1777)
    for name, text in ACCOUNTS.items():
        (root / name).write_text(text)
    for path in (Path("/etc/os-release"), Path("/etc/ld.so.conf"), *Path("/etc/ld.so.conf.d").iterdir()):
        _copy_file(path, root)


def _copy_file(path: Path, root: Path) -> None:
    """Copy what a path leads to, to the same path."""
    target = root / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)


def _copy_tree(folder: Path, root: Path, without: tuple[str, ...]) -> None:
    target = root / folder.relative_to("/")
    shutil.copytree(folder, target, symlinks=True, ignore=shutil.ignore_patterns(*without))


def _keep_only_python(scripts: Path) -> None:
    """An environment's bin/ has a console script of every library; the image has one program."""
    for path in scripts.iterdir():
        if not path.name.startswith("python"):
            path.unlink()


def _copy_libraries(root: Path, droppable: Path) -> None:
    """Copy every shared library that a file under `root` names and that is not there yet.

    A standard-library module (in `droppable`) whose library the base image lacks goes, as it could not be
    imported there either; anything else with a missing library is an error.
    """
    wanted = {
        Path(line.split()[-1]) for line in _run("/sbin/ldconfig", "-p") if line.split()[0] in LOADED_LATER
    }
    for path, needed in _needs(root):
        if None not in needed.values():
            wanted.update(library for library in needed.values() if library)
        elif path.is_relative_to(droppable):
            print(f"{path.name} is left out: the base image has no {_missing(needed)}")  # noqa: T201
            path.unlink()
        else:
            raise SystemExit(f"{path} needs {_missing(needed)}, which the base image does not have")
    outside = sorted(library for library in wanted if not library.is_relative_to(root))
    for library in outside:
        _copy_file(library, root)
    _record_packages(outside, root)


def _record_packages(libraries: list[Path], root: Path) -> None:
    """Keep Debian's records of the libraries' packages, where scanners of such images look."""
    records = root / "var/lib/dpkg/status.d"
    records.mkdir(parents=True)
    for library in (path for path in libraries if not path.is_relative_to("/usr/local")):  # no package's
        # Its folder is listed as /lib or as /usr/lib, whichever way it was reached.
        for line in _run("/usr/bin/dpkg-query", "--search", f"*/{library.parent.name}/{library.name}"):
            package = line.split(": ")[0]
            record = _run("/usr/bin/dpkg-query", "--status", package)
            (records / package.split(":")[0]).write_text("\n".join(record) + "\n")


def _missing(needed: dict[str, Path | None]) -> str:
    return ", ".join(name for name, library in needed.items() if library is None)


def _needs(root: Path) -> Iterator[tuple[Path, dict[str, Path | None]]]:
    """Every ELF file under `root` with the libraries it loads by name; None where one is not found."""
    for path in [path for path in root.rglob("*") if _is_elf(path)]:
        needed: dict[str, Path | None] = {}
        for line in _run("/usr/bin/ldd", str(path)):
            if match := re.match(r"\s*(\S+) => (?:(/\S+)|not found)", line):
                needed[match[1]] = Path(match[2]) if match[2] else None
            elif match := re.match(r"\s*(/\S+) \(0x", line):  # the loader itself
                needed[match[1]] = Path(match[1])
        yield path, needed


def _is_elf(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _run(*command: str) -> list[str]:
    """What a tool of the base image prints; ldd fails on a file that loads nothing, and prints nothing."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    return [line for line in done.stdout.splitlines() if line.strip()]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
