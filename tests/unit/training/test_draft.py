"""What will be published is known before anything is trained: so is what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigmax.contract import FloatType, Manifest
from sigmax.errors import InvalidInput
from sigmax_training import data, draft
from sigmax_training import job as jobs

THREE = "a,b,kind\n" + "".join(f"{i % 7},{i * i},{'xyz'[i % 3]}\n" for i in range(30))
TWO = "a,b,kind\n" + "".join(f"{i % 7},{i * i},{'xy'[i % 2]}\n" for i in range(30))
LABELS = "a,kind\n" + "".join(f"{i},{('x', 'y', 'x;y', '')[i % 4]}\n" for i in range(40))
JOB = "name = 'm'\n{head}\n[data]\npath = 'rows.csv'\ntarget = 'kind'\n{more}\n"


def drafts(folder: Path, rows: str, more: str = "", head: str = "") -> tuple[tuple[Manifest, ...], str]:
    """The drafts of a job and its fingerprint."""
    (folder / "rows.csv").write_text(rows)
    job = jobs.parse(JOB.format(head=head, more=more), folder)
    dataset = data.load(job)
    found = tuple(draft.draft(job, dataset, dtype) for dtype in draft.dtypes(job, dataset))
    return found, draft.fingerprint(job, dataset, found)


def test_two_heads_are_two_jobs_though_platt_serves_both_as_one_vs_rest(tmp_path: Path) -> None:
    platt = "[calibration]\nmethod = 'platt'"

    softmax = drafts(tmp_path, THREE, platt, "head = 'softmax'")
    rest = drafts(tmp_path, THREE, platt, "head = 'one_vs_rest'")

    assert softmax[0] == rest[0]
    assert softmax[1] != rest[1]


def test_the_order_in_which_bands_are_written_is_no_other_job(tmp_path: Path) -> None:
    separated = "separator = ';'\n[decision]\n"

    one = drafts(tmp_path, LABELS, separated + "band = {x = 0.1, y = [0.4, 0.7]}")
    other = drafts(tmp_path, LABELS, separated + "band = {y = [0.4, 0.7], x = 0.1}")

    assert one == other


def test_a_band_beside_its_threshold_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"the threshold of 'y', 0.3, is outside \[0.4, 0.6\]"):
        drafts(tmp_path, TWO, "[decision]\nthreshold = 0.3\nband = [0.4, 0.6]")


LONG = "a,b,kind\n" + "".join(f"{i % 7},{2**24 + i},{'xy'[i % 2]}\n" for i in range(30))
INTEGERS = "[features.columns.b]\nkind = 'integer'\n[estimator]\nkind = 'mlp'\nhidden = [2]"


def test_integers_beyond_float32_are_served_in_float64(tmp_path: Path) -> None:
    found, _ = drafts(tmp_path, LONG, INTEGERS)

    assert [manifest.graph.dtype for manifest in found] == [FloatType.FLOAT64]


def test_integers_that_float32_holds_are_tried_in_float32(tmp_path: Path) -> None:
    found, _ = drafts(tmp_path, TWO, INTEGERS)

    assert [manifest.graph.dtype for manifest in found] == [FloatType.FLOAT32, FloatType.FLOAT64]


def test_a_job_that_wants_integers_beyond_float32_in_float32_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="every integer of column 'b', which has 16777216 to 16777245"):
        drafts(tmp_path, LONG, INTEGERS, "dtype = 'float32'")
