"""Sigmax training fits sigmoid and softmax classifiers and publishes them as proven bundles."""

__version__ = "0.1.0"
