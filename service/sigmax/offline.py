"""What the command line does without a service, through the same queries, dispatch and predictor."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sigmax import csvs
from sigmax.contract import MANIFEST_FILE, MODEL_FILE, Feature, Graph, Manifest, Missing
from sigmax.csvs import Dialect
from sigmax.errors import BundleRejected, InvalidInput, NotFound, Problem, nearest, quoted
from sigmax.inference.catalog import Catalog, Entry, Served, open_version
from sigmax.inference.description import RULES
from sigmax.inference.dispatch import Dispatch
from sigmax.protocol.containers import recognised
from sigmax.protocol.values import refuse_any
from sigmax.repository import bundle, layout
from sigmax.rest.asgi import Body
from sigmax.rest.classifier import ClassesQuery, ProbabilitiesQuery
from sigmax.rest.jsons import read_object
from sigmax.telemetry.metrics import Metrics

_SHOWN = 5
"""How many categories of a vocabulary `inspect` names."""


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


_PICTURES = frozenset(
    [".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".avif", ".jp2"]
)
"""Endings of pictures: a format that is not read is refused as the picture it is, not as a wrong CSV file."""

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


def answer_csv(
    served: Served,
    data: bytes,
    options: dict[str, Any],
    probabilities: bool,
    dialect: Dialect = csvs.PLAIN,
) -> str:
    """Answer rows of a CSV file with a header as CSV, one line a row.

    Of classes: id, label and probability (multilabel: labels), whether that is unsure where a band applies
    (multilabel: which labels are, too). Of probabilities: id, then one column a class. Then the logits, where
    they are asked for, in columns called `logit <class>`.
    """
    if "top_k" in options:
        raise InvalidInput(
            "option 'top_k' has no place in CSV; ask for --probabilities, or give the rows as JSON"
        )
    columns = csvs.read(data, served.schema, options.get("id"), dialect)
    if options.get("extra") != "ignore":
        _refuse_extra(served, columns, options.get("id"))
    try:
        answer = _answer(served, {"columns": columns, "options": options}, probabilities)
    except InvalidInput as error:
        raise csvs.with_decimal(error) from error
    if "id" not in options:
        return _as_csv(answer)
    return _as_csv(answer, options["id"], columns[options["id"]])


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
    return _as_csv(answer, "file", names) if as_csv else _as_json(answer)


def _shown(name: str) -> str:
    """A file's name in full, as its caller gave it; on one line whatever is in it."""
    return name if name.isprintable() else quoted(name)


def _as_json(answer: dict[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False, indent=2) + "\n"


def _table(answer: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """An answer's columns and rows, without what each row is called."""
    if "results" in answer:
        cells = [_cells(row) for row in answer["results"]]
        return list(cells[0]), [list(row.values()) for row in cells]
    header, rows, logits = answer["classes"], answer["probabilities"], answer.get("logits")
    if logits is None:
        return header, rows
    more = [f"logit {label}" for label in header]
    return [*header, *more], [[*row, *scores] for row, scores in zip(rows, logits, strict=True)]


def _as_csv(answer: dict[str, Any], id_name: str | None = None, ids: Sequence[Any] = ()) -> str:
    """An answer as CSV, with what each row is called before it where there is a name for that."""
    header, rows = _table(answer)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if id_name is None:
        writer.writerows([header, *rows])
    else:
        writer.writerow([id_name, *header])
        writer.writerows([identity, *row] for identity, row in zip(ids, rows, strict=True))
    return out.getvalue()


def _cells(result: dict[str, Any]) -> dict[str, Any]:
    """A result as cells by column name; one request's results all have the same columns."""
    cells: dict[str, Any] = {}
    for name in ("label", "labels", "probability", "unsure", "unsure_labels"):
        value = result.get(name)
        if isinstance(value, list):
            cells[name] = ";".join(value)
        elif value is not None:
            cells[name] = json.dumps(value) if isinstance(value, bool) else value
    return cells | {f"logit {label}": logit for label, logit in result.get("logits", {}).items()}


def _answer(served: Served, document: dict[str, Any], probabilities: bool) -> dict[str, Any]:
    dispatch = Dispatch(Catalog([Entry(served.name, served)]), max_rows=sys.maxsize)
    query = ProbabilitiesQuery if probabilities else ClassesQuery
    meter = Metrics().verb("cli", "predict")
    body = Body(msgspec.json.encode(document))
    answer: dict[str, Any] = json.loads(dispatch.answer(meter, query, served.name, served.version, body).body)
    return answer


def _refuse_extra(served: Served, columns: Iterable[str], id_column: str | None) -> None:
    schema = served.schema
    absent = [name for name in schema.names if name not in set(columns)]
    refuse_any(
        Problem(
            f"unknown column {quoted(name)}{nearest(name, absent)} "
            "(--extra ignore passes over such columns, --id gives one of them back)"
        )
        for name in columns
        if name not in schema.known and name != id_column
    )


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
    yield from _layers(graph, manifest.files[MODEL_FILE].size)
    yield f"  classes     {', '.join(manifest.classes)}"
    yield f"  decision    {RULES[manifest.task]}"
    if decision.positive is not None:
        yield f"  positive    {decision.positive}"
    for label, threshold in decision.thresholds.items():
        yield f"  threshold   {label} above {threshold:g}"
    for label, (low, high) in decision.band.items():
        yield f"  band        {label} unsure above {low:g} up to {high:g}"
    yield f"  tolerance   {manifest.tolerance:g}"
    for feature in manifest.features:
        yield f"  feature     {feature.name}: {_described(feature)}"
    for name, value in manifest.metrics.items():
        yield f"  metric      {name} {value:.6g}"
    for name, entry in manifest.files.items():
        yield f"  file        {name} {entry.size} bytes, sha256 {entry.sha256}"
    for name, text in manifest.provenance.items():
        yield f"  provenance  {name}: {text}"
    yield f"  fingerprint {manifest.fingerprint}"


def _layers(graph: Graph, size: int) -> Iterator[str]:
    """The graph step by step; nothing where the manifest does not say, as format 1 does not."""
    for layer in graph.layers:
        learnt = f", {layer.parameters:,} parameter{'s' * (layer.parameters > 1)}" if layer.parameters else ""
        yield f"  layer       {layer.kind} {layer.inputs} -> {layer.outputs}{learnt}"
    if graph.layers:
        yield f"  parameters  {graph.parameters:,}, in a file of {size:,} bytes"


def _described(feature: Feature) -> str:
    low, high = feature.range
    text = f"{feature.kind}{f' {list(feature.shape)}' if feature.shape else ''}, {low:g} to {high:g}"
    if feature.vocabulary is not None:
        known, more = len(feature.vocabulary), ", …" if len(feature.vocabulary) > _SHOWN else ""
        shown = ", ".join(map(quoted, feature.vocabulary[:_SHOWN])) + more
        text = f"category ({feature.dtype}), {known} known: {shown}; unknown: {feature.unknown}"
    return text if feature.missing is Missing.REJECT else f"{text}; missing: {feature.missing}"


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
