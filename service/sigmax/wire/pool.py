"""The private descriptor pool; generated modules import this in place of protobuf's own module."""

from google.protobuf import struct_pb2
from google.protobuf.descriptor_pool import DescriptorPool

POOL = DescriptorPool()
POOL.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)


def Default() -> DescriptorPool:  # noqa: N802 - the name that generated code calls
    """The pool that generated code registers its files in."""
    return POOL
