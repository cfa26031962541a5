"""`python -m sigmax` is `sigmax`."""

from sigmax.cli import main

main()
