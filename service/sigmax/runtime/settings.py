"""What `sigmax serve` was told, resolved once by the command line and handed down to the workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


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
        poll: seconds between two looks at the repository for what is new; 0 never looks.
        receive_timeout: seconds that a client may take to send a REST request.
        grace: seconds that running requests get when the service leaves.
        require: models without which the service is not ready.
        workers: processes that answer, beside the one that supervises them.
        start_timeout: seconds that a worker may take until it is ready.
        log_level: of the supervisor and of every worker.
        model_control: whether models are loaded and unloaded on request.
    """

    models: Path
    host: str
    rest_port: int
    grpc_port: int
    max_rows: int
    max_bytes: int
    receive_timeout: float
    grace: float
    require: tuple[str, ...]
    max_pixels: int
    max_batch_rows: int | None
    max_delay: float
    max_queue_rows: int
    poll: float
    workers: int
    start_timeout: float
    log_level: str
    model_control: bool

    def document(self) -> dict[str, Any]:
        """The settings as they travel to a worker, for JSON."""
        return asdict(self) | {"models": str(self.models)}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Settings:
        """The settings that `document` gave."""
        own = {"models": Path(document["models"]), "require": tuple(document["require"])}
        return cls(**{**document, **own})
