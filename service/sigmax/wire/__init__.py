"""Messages of the gRPC doors, generated from `proto/` into a descriptor pool of their own.

Importing it beside tritonclient or the KServe SDK, which describe the same package `inference` in the
default pool, works in either order. Source: `proto/generate.py`.
"""
