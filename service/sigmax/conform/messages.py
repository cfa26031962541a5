"""Messages that the standard does not have: Triton's extensions, health and reflection.

Made from a table of field numbers when they are needed, in a pool of their own: whoever checks a server
needs no generated code of it, and tritonclient can be imported beside this.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_PACKAGE = "sigmax.conform"
_SCALARS = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "string": FieldDescriptorProto.TYPE_STRING,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
}
_FIELDS = {
    # Triton's grpc_service.proto and model_config.proto; an enum travels as int32, a map as its entries.
    "Named": "name 1 string, version 2 string",
    "StreamResponse": "error_message 1 string, infer_response 2 bytes",
    "Duration": "count 1 uint64, ns 2 uint64",
    "InferStatistics": "success 1 Duration, fail 2 Duration, queue 3 Duration, compute_input 4 Duration, "
    "compute_infer 5 Duration, compute_output 6 Duration, cache_hit 7 Duration, cache_miss 8 Duration",
    "BatchStatistics": "batch_size 1 uint64, compute_input 2 Duration, compute_infer 3 Duration, "
    "compute_output 4 Duration",
    "ModelStatistics": "name 1 string, version 2 string, last_inference 3 uint64, inference_count 4 uint64, "
    "execution_count 5 uint64, inference_stats 6 InferStatistics, batch_stats 7 BatchStatistics*",
    "StatisticsResponse": "model_stats 1 ModelStatistics*",
    "ConfigInput": "name 1 string, data_type 2 int32, format 3 int32, dims 4 int64*",
    "ConfigOutput": "name 1 string, data_type 2 int32, dims 3 int64*, label_filename 4 string",
    "Config": "name 1 string, platform 2 string, max_batch_size 4 int32, input 5 ConfigInput*, "
    "output 6 ConfigOutput*, backend 17 string",
    "ConfigResponse": "config 1 Config",
    "IndexRequest": "repository_name 1 string, ready 2 bool",
    "IndexEntry": "name 1 string, version 2 string, state 3 string, reason 4 string",
    "IndexResponse": "models 1 IndexEntry*",
    "LoadRequest": "repository_name 1 string, model_name 2 string",
    # grpc.health.v1
    "HealthRequest": "service 1 string",
    "HealthResponse": "status 1 int32",
    "HealthEntry": "key 1 string, value 2 HealthResponse",
    "HealthList": "statuses 1 HealthEntry*",
    # grpc.reflection.v1 and v1alpha
    "ReflectionRequest": "host 1 string, file_containing_symbol 4 string, list_services 7 string",
    "ReflectionFiles": "file_descriptor_proto 1 bytes*",
    "ReflectionService": "name 1 string",
    "ReflectionServices": "service 1 ReflectionService*",
    "ReflectionError": "error_code 1 int32, error_message 2 string",
    "ReflectionResponse": "files 4 ReflectionFiles, services 6 ReflectionServices, error 7 ReflectionError",
}
"""By message: name, number and type of each field; * for a repeated one."""


@cache
def messages() -> Any:
    """The message classes by name, as attributes."""
    pool = DescriptorPool()
    file = FileDescriptorProto(name="sigmax/conform.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _FIELDS.items():
        file.message_type.add(name=name, field=[_field(*text.split()) for text in fields.split(", ")])
    pool.Add(file)
    found = {name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _FIELDS}
    return SimpleNamespace(**found)


def _field(name: str, number: str, kind: str) -> FieldDescriptorProto:
    single = kind.rstrip("*")
    label = FieldDescriptorProto.LABEL_OPTIONAL if single == kind else FieldDescriptorProto.LABEL_REPEATED
    field = FieldDescriptorProto(name=name, number=int(number), label=label)
    if single in _SCALARS:
        field.type = _SCALARS[single]
    else:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{single}"
    return field
