"""Models that are made for a measurement are models like any other."""

from pathlib import Path

from benchmarks import repositories

from sigmax.inference.loading import load_catalog


def test_copies_of_a_model_are_served_under_their_own_names(repository: Path, tmp_path: Path) -> None:
    names = repositories.copied(repository, "breast_cancer", tmp_path, 3)

    assert load_catalog(tmp_path).ready_names == names
    assert len(set(map(len, names))) == 1
