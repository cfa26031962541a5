"""`sigmax predict`, `inspect` and `verify`: without a service, with its answers."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path

import pytest
from tests.service import command, environment

from sigmax.repository import bundle

TIMEOUT = 60
HEADER = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)"


def sigmax(repository: Path, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    name, *rest = arguments
    return subprocess.run(
        command(name, "--models", str(repository), *rest),
        input=given,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(),
    )


def test_a_csv_is_answered_as_csv_with_its_ids(repository: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(f"who,{HEADER},colour\nx,5.1,3.5,1.4,0.2,red\ny,6.7,3.0,5.2,2.3,blue\n", "utf-8-sig")

    ended = sigmax(repository, "predict", "iris", "--input", str(rows), "--id", "who", "--extra", "ignore")

    assert ended.returncode == 0, ended.stderr
    answers = list(csv.DictReader(io.StringIO(ended.stdout)))
    assert [(row["who"], row["label"]) for row in answers] == [("x", "setosa"), ("y", "virginica")]
    assert all(0.5 < float(row["probability"]) < 1 for row in answers)


@pytest.mark.parametrize("identity", ["007", "9007199254740993", "1e3", ""])
def test_an_id_of_a_csv_comes_back_as_it_is_written(repository: Path, identity: str) -> None:
    rows = f"id,{HEADER}\n{identity},5.1,3.5,1.4,0.2\n"

    ended = sigmax(repository, "predict", "iris", "--input", "-", "--id", "id", given=rows)

    assert ended.stdout.splitlines()[1].startswith(f"{identity},setosa,")


def test_probabilities_of_a_csv_are_those_of_json_to_the_last_digit(repository: Path) -> None:
    by_csv = sigmax(
        repository, "predict", "iris", "--input", "-", "--probabilities", given=f"{HEADER}\n5.1,3.5,1.4,0.2\n"
    )
    by_json = sigmax(
        repository, "predict", "iris", "--input", "-", "--probabilities", given="[[5.1, 3.5, 1.4, 0.2]]"
    )

    assert (by_csv.returncode, by_json.returncode) == (0, 0)
    header, row = csv.reader(io.StringIO(by_csv.stdout))
    answer = json.loads(by_json.stdout)
    assert header == answer["classes"] == ["setosa", "versicolor", "virginica"]
    assert [float(cell) for cell in row] == answer["probabilities"][0]


def test_options_apply_offline_too(repository: Path) -> None:
    row = '{"rows": [[5.1, 3.5, 1.4, 0.2]]}'

    ended = sigmax(repository, "predict", "iris", "--input", "-", "--top-k", "2", given=row)

    assert list(json.loads(ended.stdout)["results"][0]["probabilities"]) == ["setosa", "versicolor"]


def test_a_model_is_named_by_version_or_by_its_folder(repository: Path) -> None:
    row = "[[5.1, 3.5, 1.4, 0.2]]"

    for reference in ("iris", "iris/1", str(repository / "iris" / "1")):
        ended = sigmax(repository, "predict", reference, "--input", "-", given=row)
        assert json.loads(ended.stdout)["version"] == "1"


@pytest.mark.parametrize(
    ("reference", "given", "expected"),
    [
        ("irris", "[[1,2,3,4]]", "unknown model 'irris', did you mean 'iris'?; there are breast_cancer, "),
        ("iris/7", "[[1,2,3,4]]", "model 'iris' has the versions [1], not '7'"),
        ("iris", "[[1,2,3]]", "row 0: expected 4 values, got 3"),
        ("iris", "{", "the body is not JSON"),
        ("iris", f"{HEADER}\n1,2,3\n", "row 0: 3 values, the CSV's header names 4 columns"),
        (
            "iris",
            f"{HEADER}\n1,2,3,x\n",
            "row 0, feature 'petal width (cm)': expected a number, got the text 'x'",
        ),
        ("iris", f"{HEADER}\n1,2,3,\n", "row 0, feature 'petal width (cm)': expected a number, got null"),
        (
            "iris",
            f"{HEADER}\n1,2,3,nan\n",
            "row 0, feature 'petal width (cm)': expected a number, got the text",
        ),
        (
            "iris",
            f"{HEADER}\n1,2,3,5_1\n",
            "row 0, feature 'petal width (cm)': expected a number, got the text",
        ),
        (
            "iris",
            f"{HEADER}\n1,2,3,1e999\n",
            "row 0, feature 'petal width (cm)': expected a number, got the text",
        ),
        ("iris", f"{HEADER}\n", "the CSV is empty: a header and rows are needed"),
        (
            "iris",
            f"{HEADER}\n1\n1,2,3,4\n1,2\n",
            "columns; row 2: 2 values, the CSV's header names 4 columns",
        ),
        (
            "iris",
            f"{HEADER},who\n1,2,3,4,x\n",
            "unknown column 'who' (--extra ignore passes over such columns",
        ),
        ("iris", "a,a\n1,2\n", "the CSV's header names a column twice"),
        ("iris", "", "the CSV is empty: a header and rows are needed"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_exit_code_1(
    repository: Path, reference: str, given: str, expected: str
) -> None:
    ended = sigmax(repository, "predict", reference, "--input", "-", given=given)

    assert ended.returncode == 1
    assert expected in ended.stderr
    assert ended.stderr.startswith("sigmax: ")
    assert ended.stdout == ""


def test_a_csv_file_is_read_as_its_options_say(repository: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(f"이름,{HEADER}\n가,5.1,3.5,1.4,0.2\n".replace(",", ";").replace(".", ","), "cp949")
    tabs = tmp_path / "rows.tsv"
    tabs.write_text(f"이름,{HEADER}\n가,5.1,3.5,1.4,0.2\n".replace(",", "\t"))
    ask = ("predict", "iris", "--id", "이름", "--input")

    semicolons = sigmax(
        repository, *ask, str(rows), "--delimiter", ";", "--encoding", "cp949", "--decimal", ","
    )
    by_ending = sigmax(repository, *ask, str(tabs))

    assert semicolons.stdout.splitlines()[1].startswith("가,setosa,0.98")
    assert by_ending.stdout == semicolons.stdout


@pytest.mark.parametrize(
    ("option", "given", "expected"),
    [
        (("--delimiter", ";;"), "", "expected one ASCII character, got ';;'"),
        (("--delimiter", ""), "", "expected one ASCII character, got ''"),
        (("--encoding", "cp94"), "", "'cp94' is no text encoding that is known here, did you mean"),
        (("--encoding", "hex"), "", "'hex' is no text encoding that is known here"),
        (("--decimal", ";"), "", "is not one of"),
        (("--delimiter", r"\t"), "[[1,2,3,4]]", "--delimiter is for CSV, which the input is not"),
        (("--decimal", ","), "[[1,2,3,4]]", "--decimal is for CSV, which the input is not"),
    ],
)
def test_an_option_of_csv_that_means_nothing_is_wrong_usage(
    repository: Path, option: tuple[str, str], given: str, expected: str
) -> None:
    ended = sigmax(repository, "predict", "iris", "--input", "-", *option, given=given)

    assert ended.returncode == 2
    assert expected in " ".join(ended.stderr.split())


def test_inspect_shows_what_a_person_asks_for(repository: Path) -> None:
    text = sigmax(repository, "inspect", "breast_cancer").stdout

    for expected in ("binary, sigmoid", "[n_samples, 30]", "positive    malignant", "malignant above 0.5"):
        assert expected in text
    manifest = json.loads(sigmax(repository, "inspect", "breast_cancer", "--json").stdout)
    assert manifest == json.loads((repository / "breast_cancer" / "1" / "manifest.json").read_text())


def test_verify_proves_every_version(repository: Path) -> None:
    ended = sigmax(repository, "verify")

    assert ended.returncode == 0
    assert ended.stdout.count("proved: ") == 4


def test_verify_names_what_is_broken_and_fails(repository: Path, tmp_path: Path) -> None:
    content = bundle.read(repository / "iris" / "1")
    folder = tmp_path / "iris" / "1"
    folder.mkdir(parents=True)
    swapped = (content.manifest.classes[1], content.manifest.classes[0], *content.manifest.classes[2:])
    from dataclasses import replace

    files = {"model.onnx": content.model, "example.json": content.example}
    files["golden.json"] = (repository / "iris" / "1" / "golden.json").read_bytes()
    bundle.write(folder, replace(content.manifest, classes=swapped), files)

    ended = sigmax(tmp_path, "verify")

    assert ended.returncode == 1
    assert "REFUSED: row 0, class " in ended.stderr


def test_the_version_is_told() -> None:
    ended = subprocess.run(command("--version"), capture_output=True, text=True, timeout=TIMEOUT)

    assert ended.stdout.startswith("sigmax, version ")
