"""Bundles on disk: what one holds, how a repository is laid out, how a version is published.

Knows nothing of inference: whoever publishes hands in the proof as a callable.
"""
