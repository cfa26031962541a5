"""What the command line does without a service, through the same queries, dispatch and predictor."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sigmax.contract import MANIFEST_FILE, Manifest, Task
from sigmax.errors import BundleRejected, InvalidInput, NotFound, nearest, quoted
from sigmax.inference.catalog import Catalog, Entry, Served, open_version
from sigmax.inference.dispatch import Dispatch
from sigmax.protocol.containers import recognised
from sigmax.protocol.values import refuse_any
from sigmax.repository import bundle, layout
from sigmax.rest.asgi import Body
from sigmax.rest.classifier import ClassesQuery, ProbabilitiesQuery
from sigmax.rest.jsons import read_object
from sigmax.telemetry.metrics import Metrics


def locate(root: Path, reference: str) -> Path:
    """The folder of a bundle, by name (its highest version), by name/version, or by its path.

    Raises:
        NotFound: nothing is there, with what there is.
    """
    if (Path(reference) / MANIFEST_FILE).is_file():
        return Path(reference)
    if Path(reference).is_dir() and os.sep in reference:
        raise NotFound(
            f"{quoted(reference)} is no bundle: it has no {MANIFEST_FILE}; name a version's folder"
        )
    name, _, version = reference.partition("/")
    names = layout.names(root)
    if name not in names:
        raise NotFound(
            f"unknown model {quoted(name)}{nearest(name, names)}; there are {', '.join(names) or 'none'}"
        )
    found = layout.versions(root, name)
    if not version and found:
        return layout.version_path(root, name, found[0])
    if version in map(str, found):
        return layout.version_path(root, name, int(version))
    raise NotFound(f"model '{name}' has the versions {found}, not {quoted(version)}")


def find(root: Path, reference: str) -> Served:
    """Open a bundle by reference, proved.

    Raises:
        NotFound: nothing is there.
        BundleRejected: what is there is broken.
    """
    return open_version(locate(root, reference))


_PICTURES = (".png", ".jpg", ".jpeg")
_ROW = re.compile(r"\brow (\d+): ")


def is_picture(name: str, data: bytes) -> bool:
    """Whether a file is meant to be a picture, by its ending or its first bytes."""
    return Path(name).suffix.lower() in _PICTURES or recognised(data)


def guess_format(name: str, data: bytes) -> str:
    """`csv` or `json`, by the file's ending, else by its first character."""
    ending = Path(name).suffix.lower()
    if ending in (".csv", ".json"):
        return ending[1:]
    return "json" if data.lstrip()[:1] in (b"{", b"[") else "csv"


def answer_json(served: Served, data: bytes, options: dict[str, Any], probabilities: bool) -> str:
    """Answer a request body as the REST door does; a bare list is taken as its rows."""
    text = data.strip()
    document, doubt = read_object(b'{"rows":' + text + b"}" if text[:1] == b"[" else text)
    if doubt is not None:
        raise doubt
    given = document.get("options")
    document["options"] = {**given, **options} if isinstance(given, dict) else options
    return _as_json(_answer(served, document, probabilities))


def answer_csv(served: Served, data: bytes, options: dict[str, Any], probabilities: bool) -> str:
    """Answer rows of a CSV file with a header as CSV: id, class and probability of each class."""
    if "top_k" in options:
        raise InvalidInput("option 'top_k' has no place in CSV; ask for --format json or --probabilities")
    columns = _read_csv(data, served.schema.known, options.get("id"))
    if options.get("extra") != "ignore":
        _refuse_extra(served, columns, options.get("id"))
    answer = _answer(served, {"columns": columns, "options": options}, probabilities)
    if "id" not in options:
        return _as_csv(served, answer)
    return _as_csv(served, answer, options["id"], columns[options["id"]])


def answer_pictures(
    served: Served,
    files: Sequence[tuple[str, bytes]],
    options: dict[str, Any],
    probabilities: bool,
    as_csv: bool,
) -> str:
    """Answer PNG or JPEG files, given with their names, as JSON, or as CSV with the name of each file."""
    if as_csv and "top_k" in options:
        raise InvalidInput("option 'top_k' has no place in CSV; ask for --format json or --probabilities")
    names, contents = zip(*files, strict=True)
    document = {"images": [base64.b64encode(content).decode() for content in contents], "options": options}
    try:
        answer = _answer(served, document, probabilities)
    except InvalidInput as error:  # a row is a file here, and its name says more than its number
        text = _ROW.sub(lambda row: f"{_shown(names[int(row[1])])}: ", str(error))
        raise InvalidInput(text) from error
    return _as_csv(served, answer, "file", names) if as_csv else _as_json(answer)


def _shown(name: str) -> str:
    """A file's name in full, as its caller gave it; on one line whatever is in it."""
    return name if name.isprintable() else quoted(name)


def _as_json(answer: dict[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False, indent=2) + "\n"


def _as_csv(
    served: Served, answer: dict[str, Any], id_name: str | None = None, ids: Sequence[Any] = ()
) -> str:
    """An answer as CSV, with what each row is called before it where there is a name for that."""
    if "probabilities" in answer:
        header, rows = answer["classes"], answer["probabilities"]
    elif served.manifest.task is Task.MULTILABEL:
        header, rows = ["labels"], [[";".join(row["labels"])] for row in answer["results"]]
    else:
        header = ["label", "probability"]
        rows = [[row["label"], row["probability"]] for row in answer["results"]]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if id_name is None:
        writer.writerows([header, *rows])
    else:
        writer.writerow([id_name, *header])
        writer.writerows([identity, *row] for identity, row in zip(ids, rows, strict=True))
    return out.getvalue()


def _answer(served: Served, document: dict[str, Any], probabilities: bool) -> dict[str, Any]:
    dispatch = Dispatch(Catalog([Entry(served.name, served)]), max_rows=sys.maxsize)
    query = ProbabilitiesQuery if probabilities else ClassesQuery
    meter = Metrics().verb("cli", "predict")
    body = Body(msgspec.json.encode(document))
    answer: dict[str, Any] = json.loads(dispatch.answer(meter, query, served.name, served.version, body).body)
    return answer


def _read_csv(data: bytes, features: frozenset[str], id_column: str | None) -> dict[str, list[Any]]:
    """Columns by name: numbers, but for ids that are no feature, which come back as they are written."""
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the CSV is not UTF-8: byte {error.start}") from error
    except csv.Error as error:
        raise InvalidInput(f"the CSV cannot be read: {error}") from error
    header, *rows = [line for line in lines if line] or [[]]
    if not rows:
        raise InvalidInput("the CSV is empty: a header and rows are needed")
    if len(set(header)) < len(header):
        raise InvalidInput("the CSV's header names a column twice")
    refuse_any(
        f"row {index}: {len(row)} values, the CSV's header names {len(header)} columns"
        for index, row in enumerate(rows)
        if len(row) != len(header)
    )
    texts = {id_column} - features
    return {
        name: [row[position] if name in texts else _cell(row[position]) for row in rows]
        for position, name in enumerate(header)
    }


def _refuse_extra(served: Served, columns: Iterable[str], id_column: str | None) -> None:
    schema = served.schema
    absent = [name for name in schema.names if name not in set(columns)]
    refuse_any(
        f"unknown column {quoted(name)}{nearest(name, absent)} "
        "(--extra ignore passes over such columns, --id gives one of them back)"
        for name in columns
        if name not in schema.known and name != id_column
    )


def _cell(text: str) -> Any:
    """A number if it is one in JSON's sense, nothing if it is empty, else the text."""
    if text == "":
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) and "_" not in text else text


def inspect(path: Path, as_json: bool) -> str:
    """What a bundle holds, digests checked, for people or as the manifest's JSON."""
    manifest = bundle.read(path).manifest
    return manifest.to_json().decode() if as_json else "\n".join(_lines(manifest)) + "\n"


def _lines(manifest: Manifest) -> Iterator[str]:
    graph, decision = manifest.graph, manifest.decision
    yield f"{manifest.name} version {manifest.version}"
    yield f"  task        {manifest.task}, {manifest.head}"
    yield f"  input       {graph.input} {graph.dtype} [n_samples, {manifest.n_features}]"
    yield f"  output      {', '.join(graph.outputs)} {graph.dtype} [n_samples, {len(manifest.classes)}]"
    yield f"  graph       ONNX opset {graph.opset}, IR {graph.ir_version}"
    yield f"  classes     {', '.join(manifest.classes)}"
    if decision.positive is not None:
        yield f"  positive    {decision.positive}"
    for label, threshold in decision.thresholds.items():
        yield f"  threshold   {label} above {threshold:g}"
    yield f"  tolerance   {manifest.tolerance:g}"
    for feature in manifest.features:
        shape = f" {list(feature.shape)}" if feature.shape else ""
        low, high = feature.range
        yield f"  feature     {feature.name}: {feature.kind}{shape}, {low:g} to {high:g}"
    for name, value in manifest.metrics.items():
        yield f"  metric      {name} {value:.6g}"
    for name, entry in manifest.files.items():
        yield f"  file        {name} {entry.size} bytes, sha256 {entry.sha256}"
    for name, text in manifest.provenance.items():
        yield f"  provenance  {name}: {text}"
    yield f"  fingerprint {manifest.fingerprint}"


def verify(root: Path, references: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Prove bundles: a line about each and whether it is good.

    Raises:
        NotFound: a reference names nothing, or the repository holds nothing.
    """
    paths = [locate(root, reference) for reference in references] or _all(root)
    if not paths:
        raise NotFound("the repository holds no version")
    for path in paths:
        try:
            proof = open_version(path).proof
        except BundleRejected as error:
            yield f"{path}: REFUSED: {error}", False
        else:
            yield (
                f"{path}: proved: {proof.rows} golden rows, largest difference {proof.difference:.2g}",
                True,
            )


def _all(root: Path) -> list[Path]:
    return [
        layout.version_path(root, name, version)
        for name in layout.names(root)
        for version in sorted(layout.versions(root, name))
    ]
