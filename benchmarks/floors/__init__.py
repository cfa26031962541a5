"""Bare servers: what a request costs when nothing but the transport answers it.

Each answers `/bare/<name>` (gRPC: `/bare.Floor/<name>`) with the bytes of a file of that name.
"""
