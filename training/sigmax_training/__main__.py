"""`python -m sigmax_training` is `sigmax-train`."""

from sigmax_training.cli import main

main()
