"""Sigmax serves sigmoid and softmax classifiers; importing this package imports nothing else."""

__version__ = "0.1.0"
