"""What no service can be made to do from outside: a supervisor that fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sigmax.errors import NotReady
from sigmax.runtime import ports
from sigmax.runtime.settings import Settings
from sigmax.runtime.supervisor import Supervisor

SETTINGS = Settings(
    models=Path("nowhere"),
    host="127.0.0.1",
    rest_port=0,
    grpc_port=0,
    max_rows=1,
    max_bytes=1024,
    receive_timeout=1,
    grace=1,
    require=(),
    max_pixels=1,
    max_batch_rows=None,
    max_delay=0,
    max_queue_rows=1,
    poll=0,
    workers=1,
    start_timeout=1,
    log_level="error",
    model_control=False,
)


def test_a_supervisor_that_fails_ends_the_service_instead_of_going_on_by_half() -> None:
    taken = ports.take("127.0.0.1", 0, 0)
    for socket in taken:
        socket.close()  # so that starting a worker fails as nothing is expected to
    supervisor = Supervisor(SETTINGS, taken, {}, print)

    with pytest.raises(NotReady, match="nobody foresaw"):
        asyncio.run(asyncio.wait_for(supervisor.run([]), 20))
