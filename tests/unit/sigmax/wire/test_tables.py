"""Our proto is the standard's and Triton's, field by field: names, numbers, types."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from tests.standard import fields, table

from sigmax.wire import open_inference_grpc_pb2 as pb

FILE = FileDescriptorProto.FromString(pb.DESCRIPTOR.serialized_pb)
OURS = fields(FILE)
ENUMS = {
    **{enum.name: enum for enum in FILE.enum_type},
    **{f"{outer.name}.{enum.name}": enum for outer in FILE.message_type for enum in outer.enum_type},
}
TABLE = table("grpc")

FILLED_IN_PART = (
    "ModelConfig",
    "ModelInput",
    "ModelOutput",
    "ModelVersionPolicy",
    "ModelInstanceGroup",
    "ModelDynamicBatching",
)
"""Of a configuration we write some fields; a reader of Triton's proto sees the others as not set."""

NOT_TRITONS = {
    "ModelMetadataResponse": {"properties"},
    "RepositoryModelLoadResponse": {"model_name", "isLoaded"},
    "RepositoryModelUnloadResponse": {"model_name", "isUnloaded"},
}
"""The standard's and KServe's fields; a reader of Triton's proto passes over them."""


def plain(described: dict[str, Any]) -> dict[str, Any]:
    """A field without its `oneof`, which is not on the wire."""
    return {key: value for key, value in described.items() if key != "oneof"}


@pytest.mark.parametrize("name", TABLE["standard"]["messages"])
def test_a_message_has_exactly_the_fields_of_the_standard(name: str) -> None:
    expected = TABLE["standard"]["messages"][name]

    assert {field: plain(said) for field, said in expected.items()} == OURS[name]


@pytest.mark.parametrize("name", TABLE["triton"]["messages"])
def test_a_message_has_the_fields_of_triton(name: str) -> None:
    expected = {field: plain(said) for field, said in TABLE["triton"]["messages"][name].items()}
    ours = {field: said for field, said in OURS[name].items() if field not in NOT_TRITONS.get(name, ())}

    assert {field: expected.get(field) for field in ours} == ours
    if name not in FILLED_IN_PART:
        assert set(expected) == set(ours)


def test_no_field_beside_tritons_takes_one_of_its_numbers() -> None:
    for name, extra in NOT_TRITONS.items():
        taken = {said["number"] for said in TABLE["triton"]["messages"][name].values()}

        assert not taken & {OURS[name][field]["number"] for field in extra}


def test_every_message_of_ours_is_in_one_of_the_tables() -> None:
    known = {*TABLE["standard"]["messages"], *TABLE["triton"]["messages"]}

    assert set(OURS) - known == set()


@pytest.mark.parametrize("name", TABLE["triton"]["enums"])
def test_an_enum_has_the_values_of_triton(name: str) -> None:
    ours = {value.name: value.number for value in ENUMS[name].value}

    assert TABLE["triton"]["enums"][name] == ours


def test_every_method_takes_and_gives_what_theirs_does() -> None:
    ours = {
        method.name: {
            "request": method.input_type.removeprefix(".inference."),
            "response": method.output_type.removeprefix(".inference."),
            "stream": method.client_streaming and method.server_streaming,
        }
        for method in FILE.service[0].method
    }

    assert {name: TABLE["triton"]["methods"][name] for name in ours} == ours
    assert TABLE["standard"]["methods"].items() <= ours.items()
