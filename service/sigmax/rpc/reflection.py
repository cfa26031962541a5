"""Server reflection, v1 and v1alpha: what the server offers, for clients that know no proto of it.

Both have the same messages under two names, and the library has only the older one; the newer one's file is
made of it. All descriptors are in a pool of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2

from sigmax.rpc.service import Service
from sigmax.rpc.stream import Remaining, Streams
from sigmax.rpc.unary import parse

V1ALPHA, V1 = "grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection"
_METHOD = "ServerReflectionInfo"
_Request: Any = reflection_pb2.ServerReflectionRequest  # the library has no types
_Response: Any = reflection_pb2.ServerReflectionResponse


class Reflection:
    """Both services, over the same descriptors."""

    def __init__(self, services: tuple[str, ...], files: tuple[bytes, ...]) -> None:
        """Take what is told about.

        Args:
            services: every service of the server but these two, by full name.
            files: serialised file descriptors of them and of all that they need, in an order in which each
                needs only those before it.
        """
        self._services = sorted({*services, V1, V1ALPHA})
        self._pool = DescriptorPool()
        for file in (*files, reflection_pb2.DESCRIPTOR.serialized_pb, _version_1()):
            self._pool.AddSerializedFile(file)
        self._streams = Streams(self.answer)

    def handlers(self) -> tuple[grpc.GenericRpcHandler[bytes, bytes], ...]:
        """What a gRPC server adds to answer them."""
        methods = {_METHOD: self._streams.handler()}
        return tuple([Service(service, methods) for service in (V1, V1ALPHA)])

    def leave(self, seconds: float) -> None:
        """End every stream."""
        self._streams.leave(seconds)

    def answer(self, data: bytes, _: Remaining) -> bytes:
        """The answer to one question; to one about what there is not, an error in its place.

        Raises:
            InvalidInput: the bytes are no question.
        """
        request = parse(_Request, data)
        response = _Response(valid_host=request.host, original_request=request)
        try:
            self._fill(response, request)
        except KeyError:
            _refuse(response, grpc.StatusCode.NOT_FOUND, "nothing of that name")
        answer: bytes = response.SerializeToString()
        return answer

    def _fill(self, response: Any, request: Any) -> None:
        asked = request.WhichOneof("message_request")
        if asked is None:
            _refuse(response, grpc.StatusCode.INVALID_ARGUMENT, "a request asks for something")
        elif asked == "list_services":
            for name in self._services:
                response.list_services_response.service.add(name=name)
        elif asked == "all_extension_numbers_of_type":
            name = request.all_extension_numbers_of_type
            self._pool.FindMessageTypeByName(name)
            response.all_extension_numbers_response.base_type_name = name
        else:
            files = _with_needed(self._file(asked, request))
            response.file_descriptor_response.file_descriptor_proto.extend(files)

    def _file(self, asked: str, request: Any) -> FileDescriptor:
        """The file that a question is about; KeyError if there is none."""
        if asked == "file_by_filename":
            return self._pool.FindFileByName(request.file_by_filename)
        if asked == "file_containing_symbol":
            return self._holding(request.file_containing_symbol)
        raise KeyError(asked)  # no message of ours has extensions

    def _holding(self, symbol: str) -> FileDescriptor:
        """The file of a message, a service, or a method of one, which the pool does not look for."""
        service, _, method = symbol.rpartition(".")
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            found = self._pool.FindServiceByName(service)
            return found.methods_by_name[method].containing_service.file


def _refuse(response: Any, code: grpc.StatusCode, text: str) -> None:
    response.error_response.error_code, response.error_response.error_message = code.value[0], text


def _with_needed(file: FileDescriptor) -> Iterator[bytes]:
    """A file and all that it needs, each once."""
    found = {file.name: file}
    left = [file]
    while left:
        new = [one for one in left.pop().dependencies if one.name not in found]
        found |= {one.name: one for one in new}
        left += new
    return (one.serialized_pb for one in found.values())


def _version_1() -> bytes:
    """The file of v1: that of v1alpha under the other package."""
    old = ".grpc.reflection.v1alpha."
    file = FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    file.name, file.package = "grpc/reflection/v1/reflection.proto", "grpc.reflection.v1"
    file.ClearField("options")

    def renamed(name: str) -> str:
        return name.replace(old, f".{file.package}.")

    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = renamed(field.type_name)
    for method in file.service[0].method:
        method.input_type, method.output_type = renamed(method.input_type), renamed(method.output_type)
    return file.SerializeToString()
