"""Repeatable measurements of the service beside the bare libraries that carry it; no part of `make test`."""
