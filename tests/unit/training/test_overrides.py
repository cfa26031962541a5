"""A key that is set on the command line is read as if it stood in the job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sigmax.errors import InvalidInput
from sigmax_training import job as jobs
from sigmax_training.job import Logistic, Perceptron
from sigmax_training.overrides import Override, applied, parse

IRIS = "name='iris'\n[data]\nbuiltin='iris'\n[estimator]\nC=2.0\n"


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("estimator.C=0.1", ("estimator", "C"), 0.1),
        ("logits=true", ("logits",), True),
        ("estimator.hidden=[64, 32]", ("estimator", "hidden"), [64, 32]),
        ('name="x"', ("name",), "x"),
        ("name='x'", ("name",), "x"),
        ("estimator.kind=mlp", ("estimator", "kind"), "mlp"),
        ("data.path=other/rows.csv", ("data", "path"), "other/rows.csv"),
        ("data.path=a=b.csv", ("data", "path"), "a=b.csv"),
        ("name=2026-01-01", ("name",), "2026-01-01"),
        ("name=a\nseed=3", ("name",), "a\nseed=3"),
        ("seed=1\nname='x'", ("seed",), "1\nname='x'"),
        ("decision.tune={objective='f_beta'}", ("decision", "tune"), {"objective": "f_beta"}),
        ("features.columns.층.kind=integer", ("features", "columns", "층", "kind"), "integer"),
        ('features.columns."a.b=c".kind=integer', ("features", "columns", "a.b=c", "kind"), "integer"),
        ("features.columns.'a.b'.kind=integer", ("features", "columns", "a.b", "kind"), "integer"),
        ('decision.threshold."\\"".x=1', ("decision", "threshold", '"', "x"), 1),
        ("features.columns.petal width (cm).fill=1", ("features", "columns", "petal width (cm)", "fill"), 1),
        (" estimator . C = 0.1 ", ("estimator", "C"), 0.1),
    ],
)
def test_a_key_and_a_value_are_read(text: str, path: tuple[str, ...], value: Any) -> None:
    assert parse(text) == Override(path, value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "estimator.C",
        "=3",
        "a.=3",
        ".a=3",
        "a..b=3",
        "a=",
        'a."b=3',
        '"a"b=3',
        "a=[1, 2",
        'a="b',
        '"\\q"=1',
    ],
)
def test_a_wrong_form_is_shown_the_right_one(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"is not KEY=VALUE as in estimator\.C=0\.1"):
        parse(text)


def test_what_is_set_is_merged_and_the_document_stays_as_it_is() -> None:
    document = {"name": "x", "decision": {"threshold": 0.5, "positive": "a"}}

    merged = applied(document, [parse("decision.threshold.a=0.2"), parse("seed=1"), parse("seed=2")])

    assert merged == {"name": "x", "decision": {"threshold": {"a": 0.2}, "positive": "a"}, "seed": 2}
    assert document == {"name": "x", "decision": {"threshold": 0.5, "positive": "a"}}


def test_a_job_is_read_as_if_what_is_set_stood_in_it(tmp_path: Path) -> None:
    path = tmp_path / "iris.toml"
    path.write_text(IRIS)

    job = jobs.read(path, overrides=[parse("estimator.C=0.5"), parse("seed=7"), parse("evaluation.folds=3")])

    assert job.estimator == Logistic(C=0.5)
    assert (job.seed, job.evaluation.folds) == (7, 3)
    assert jobs.read(path).estimator == Logistic(C=2.0)


def test_a_whole_table_replaces_the_one_of_the_job() -> None:
    job = jobs.parse(IRIS, Path(), overrides=[parse('estimator={kind="mlp", hidden=[8]}')])

    assert job.estimator == Perceptron(hidden=(8,))


def test_a_key_that_is_not_known_is_reported_with_the_nearest_name() -> None:
    wrong = [parse("estimator.solvr=saga"), parse("evalution.folds=3"), parse("name.x=1")]

    with pytest.raises(InvalidInput) as error:
        jobs.parse(IRIS, Path(), overrides=wrong)

    for part in (
        "estimator.solvr is not a key that is known here, did you mean 'solver'?",
        "evalution is not a key that is known here, did you mean 'evaluation'?",
        "name is a text that is not empty, not '{'x': 1}'",
    ):
        assert part in str(error.value)
