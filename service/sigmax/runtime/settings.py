"""What `sigmax serve` was told, resolved once by the command line and handed down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one service.

    Attributes:
        models: the repository.
        host: the address that both doors bind.
        rest_port: 0 takes a free one.
        grpc_port: likewise.
        max_rows: rows of one request.
        max_bytes: bytes of one request's body or message.
        max_pixels: pixels of one request's pictures.
        max_batch_rows: rows of one run of a costly model; None for what its measured costs suggest.
        max_delay: seconds that a request of a costly model waits for company.
        max_queue_rows: rows of costly models that may wait.
        grace: seconds that running requests get when the service leaves.
        require: models without which the service is not ready.
    """

    models: Path
    host: str
    rest_port: int
    grpc_port: int
    max_rows: int
    max_bytes: int
    grace: float
    require: tuple[str, ...]
    max_pixels: int
    max_batch_rows: int | None
    max_delay: float
    max_queue_rows: int
