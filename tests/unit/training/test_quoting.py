"""How a CSV file quotes is told from its bytes; where it is by the book, both readers give the same cells."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmax.errors import InvalidInput
from sigmax_training.data.csvs import Refused, open_csv
from sigmax_training.data.files import find
from sigmax_training.data.quoting import Quoting, quoting
from sigmax_training.job import Dialect


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"1,2\n3,4\n", Quoting.NONE),
        (b"", Quoting.NONE),
        (b'"a",1\n2,"b"\n"c"\n', Quoting.CELLS),
        (b'"a ""b"" c",1\r\n"","",\n"""",""""', Quoting.CELLS),
        (b'1,"a\nb"\n', Quoting.LINES),
        (b'1,"a\r""b"\n', Quoting.LINES),
        (b'1,"a\n', Quoting.OTHER),
        (b'1,"a"b\n', Quoting.OTHER),
        (b'1,a"b"\n', Quoting.OTHER),
        (b'3" pipe,1\n', Quoting.OTHER),
        (b'1, "a"\n', Quoting.OTHER),
        (b'1,"a" ,2\n', Quoting.OTHER),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_file_is_by_the_book_or_not_wherever_it_is_divided(
    content: bytes, expected: Quoting, size: int
) -> None:
    blocks = [content[start : start + size] for start in range(0, len(content), size)]

    assert quoting(blocks, b",", b'"') is expected


def test_without_a_sign_nothing_is_quoted() -> None:
    assert quoting([b'"a"b\n'], b",", b"") is Quoting.NONE


_CELLS = st.text(st.sampled_from('a",\n\r ;é'), max_size=4)


@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=5), st.sampled_from([0, 1]))
def test_what_a_writer_quotes_is_by_the_book_and_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], how: int
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=how).writerows([("x", "y"), *rows])  # type: ignore[arg-type]
    path = tmp_path_factory.mktemp("quoting") / "rows.csv"
    path.write_text(text.getvalue(), newline="")

    cells = {strict: read(path, strict=strict) for strict in (False, True)}

    assert cells[False] == cells[True] == rows


@given(st.text(st.sampled_from('ab",\n'), max_size=12))
def test_both_readers_agree_or_the_fast_one_leaves_it_to_the_strict_one(
    tmp_path_factory: pytest.TempPathFactory, body: str
) -> None:
    path = tmp_path_factory.mktemp("quoting") / "rows.csv"
    path.write_text(f"x,y\n{body}", newline="")

    fast, strict = (outcome(path, strict=how) for how in (False, True))

    assert fast in (strict, "refused")


def outcome(path: Path, *, strict: bool) -> list[tuple[str, str]] | str:
    try:
        return read(path, strict=strict)
    except Refused:
        return "refused"
    except InvalidInput as error:
        return str(error)


def read(path: Path, *, strict: bool) -> list[tuple[str, str]]:
    """All cells of a file of the columns x and y; what is wrong with lines as an error."""
    (file,) = find((path,), None)
    rows: list[tuple[str, str]] = []
    for piece in open_csv(file, Dialect(), strict=strict).pieces:
        for batch in piece.batches(("x", "y"), len(rows)):
            if batch.problems:
                raise InvalidInput(batch.problems[0])
            rows += zip(batch.columns["x"].to_pylist(), batch.columns["y"].to_pylist(), strict=True)
    return rows
