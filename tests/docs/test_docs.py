"""The documents do what they say: every example runs against a real service, every link leads somewhere."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tests.docs import markdown
from tests.docs.following import commands, follow
from tests.docs.markdown import ROOT
from tests.docs.output import agrees
from tests.docs.reader import reader
from tests.service import running

from sigmax import contract, errors
from sigmax.rest.errors import STATUS as REST_STATUS
from sigmax.rpc.errors import STATUS as RPC_STATUS
from sigmax_training import job

# README.ko.md is not executed: its blocks are README.md's, which test_translation.py proves
# (test_the_translation_has_the_same_blocks_in_the_same_order).
TRANSLATED = ROOT / "README.ko.md"
EXECUTED = [
    path for path in markdown.documents() if path.parent in (ROOT, ROOT / "docs") and path != TRANSLATED
]
IDS = [str(path.relative_to(ROOT)) for path in EXECUTED]

WRITTEN_BY_OTHERS = ("docs/benchmarks.md", "docs/containers.md")
"""Documents about what needs a Docker engine or a quiet machine: their examples are not executed here."""

NOT_EXECUTED = {
    "README.md": ("grpcurl is not a Python package; a test sends the same JSON",),
    "README.ko.md": ("grpcurl is not a Python package; a test sends the same JSON",),
    "CONTRIBUTING.md": ("sets up the checkout itself", "sets up the checkout itself"),
    "docs/tensorflow-serving.md": ("requests is not installed here; the same body goes through curl above",),
    "docs/clients.md": (
        "needs tritonclient; make clients asks the same",
        "needs KServe's SDK; make clients asks the same",
    ),
    "docs/protos.md": ("grpcurl is not a Python package; a test sends the same JSON", "needs Go"),
}
"""Every block that carries the marker, by document, with its reason: nothing is left out silently."""


@pytest.mark.parametrize("path", EXECUTED, ids=IDS)
def test_a_document_does_what_it_shows(path: Path, repository: Path, tmp_path: Path) -> None:
    if str(path.relative_to(ROOT)) in WRITTEN_BY_OTHERS:
        return
    if shutil.which("curl") is None:
        pytest.skip("the examples need curl")
    with reader(tmp_path, repository) as one:
        for block in markdown.blocks(path):
            if block.reason is None:
                follow(one, block)


def test_the_json_for_grpcurl_works_for_a_client_that_knows_only_what_reflection_tells(
    repository: Path,
) -> None:
    examples = [example for path in EXECUTED for example in grpcurl_examples(path)]

    assert examples
    with running(repository) as service, grpc.insecure_channel(service.grpc) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        for method, document, shown in examples:
            answer = ask(channel, pool, method, document)

            assert agrees(shown, json.dumps(answer, indent=2).splitlines()[: len(shown)])


def grpcurl_examples(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Each call by grpcurl: the method, the request's JSON, and the lines that are shown under it."""
    call = re.compile(r"grpcurl -plaintext -d '(?P<document>.+)' localhost:8081 (?P<method>\S+)")
    for block in markdown.blocks(path):
        for command, shown in commands(block) if block.language == "console" else ():
            match = call.fullmatch(command)
            if match:
                yield match["method"], match["document"], shown


def ask(channel: grpc.Channel, pool: DescriptorPool, method: str, document: str) -> Any:
    """Call a method as grpcurl does: by its description, with JSON, for JSON."""
    service, _, name = method.partition("/")
    described = pool.FindServiceByName(service).methods_by_name[name]
    request = json_format.Parse(document, GetMessageClass(described.input_type)())
    call = channel.unary_unary(
        f"/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(described.output_type).FromString,
    )
    return json_format.MessageToDict(call(request, timeout=10))


def test_what_is_not_executed_is_known() -> None:
    marked = {
        str(path.relative_to(ROOT)): reasons
        for path in markdown.documents()
        if str(path.relative_to(ROOT)) not in WRITTEN_BY_OTHERS
        and (reasons := tuple(block.reason for block in markdown.blocks(path) if block.reason))
    }

    assert marked == NOT_EXECUTED


def test_every_link_leads_to_a_file_and_a_heading_that_are_there() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in markdown.documents()
        for target in markdown.links(path)
        if "://" not in target and not leads_somewhere(path, target)
    ]

    assert broken == []


def leads_somewhere(path: Path, target: str) -> bool:
    """Whether a relative link of a document is good."""
    file, _, anchor = target.partition("#")
    found = (path.parent / file).resolve() if file else path
    return found.exists() and (not anchor or anchor in markdown.anchors(found))


def test_the_code_map_names_every_module_and_no_other() -> None:
    packages = [ROOT / "service" / "sigmax", ROOT / "training" / "sigmax_training"]
    there = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in package.rglob("*.py")
        if path.name != "__init__.py" and not path.name.endswith("_pb2.py")
    }

    assert set(code_map()) == there


def code_map() -> Iterator[str]:
    """The files that ARCHITECTURE.md's trees name; two spaces are one level."""
    for block in markdown.blocks(ROOT / "ARCHITECTURE.md"):
        folders: list[str] = []
        for line in block.lines:
            match = re.fullmatch(r"(?P<indent> *)(?P<name>[\w/]+(?P<kind>/|\.py))(?:  .+)?", line)
            if match is None:
                continue
            del folders[len(match["indent"]) // 2 :]
            if match["kind"] == "/":
                folders.append(match["name"])
            else:
                yield "".join(folders) + match["name"]


def test_the_table_of_errors_is_the_one_that_the_doors_own() -> None:
    row = re.compile(r"\| `(?P<code>[A-Z_]+)` \| (?P<rest>\d+) \| `(?P<rpc>[A-Z_]+)` \|.*")
    rows = filter(None, map(row.fullmatch, (ROOT / "docs/errors.md").read_text().splitlines()))
    documented = {match["code"]: (int(match["rest"]), match["rpc"]) for match in rows}

    assert documented == {code.value: (REST_STATUS[code], RPC_STATUS[code].name) for code in errors.Code}


def test_every_key_of_a_manifest_is_documented() -> None:
    kinds = (
        contract.Manifest,
        contract.Feature,
        contract.Image,
        contract.Decision,
        contract.Graph,
        contract.Layer,
        contract.FileEntry,
    )
    text = (ROOT / "docs/manifest.md").read_text()
    missing = [field.name for kind in kinds for field in fields(kind) if f"| `{field.name}` |" not in text]

    assert missing == []


def test_every_key_of_a_job_is_documented() -> None:
    kinds = (
        job.Job,
        job.Photographs,
        job.Regions,
        job.Column,
        job.Decision,
        job.Logistic,
        job.Perceptron,
        job.Evaluation,
    )
    text = (ROOT / "docs/jobs.md").read_text()
    names = [field.name for kind in kinds for field in fields(kind)]
    names += [
        "path",
        "format",
        "delimiter",
        "quote",
        "encoding",
        "decimal",
        "stream",
        "buffer",
        "target",
        "targets",
        "separator",
        "ignore",
        "missing_values",
        "builtin",
        "images",
        "image",
        "resize",
    ]
    missing = [name for name in names if f"`{name}`" not in text]

    assert missing == []


def test_a_whole_job_in_the_documents_is_also_toml_that_others_read() -> None:
    texts = [block.text for path in EXECUTED for block in markdown.blocks(path) if block.language == "toml"]

    assert texts
    for text in texts:
        assert tomllib.loads(text)
