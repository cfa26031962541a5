"""An address is ours alone before anything is started, and nobody else gets in while we have it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from sigmax.runtime import ports
from sigmax.runtime.ports import Ports


@pytest.fixture
def taken() -> Iterator[Ports]:
    pair = ports.take("127.0.0.1", 0, 0)
    yield pair
    pair.rest.close()
    pair.grpc.close()


@pytest.mark.parametrize(("door", "index"), [("REST", 0), ("gRPC", 1)])
def test_a_port_that_is_held_but_does_not_listen_is_refused_to_others(
    taken: Ports, door: str, index: int
) -> None:
    port = taken.numbers[index]

    expected = f"{door} cannot listen on 127.0.0.1:{port}: address already in use"
    assert ports.refusal(door, "127.0.0.1", port) == expected


def test_a_worker_can_bind_the_held_port_of_grpc(taken: Ports) -> None:
    with socket.socket() as worker:
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(("127.0.0.1", taken.numbers[1]))
        worker.listen()
        with socket.create_connection(("127.0.0.1", taken.numbers[1])), worker.accept()[0]:
            pass


def test_a_port_whose_connections_linger_can_be_taken_again() -> None:
    first = ports.take("127.0.0.1", 0, 0)
    rest_port, grpc_port = first.numbers
    ports.listen(first.rest)
    first.rest.setblocking(True)
    with socket.create_connection(("127.0.0.1", rest_port)) as client:
        accepted, _ = first.rest.accept()
        accepted.close()  # first: the side that closes is the side that lingers
        assert client.recv(1) == b""
    first.rest.close()
    first.grpc.close()

    again = ports.take("127.0.0.1", rest_port, grpc_port)
    ports.listen(again.rest)
    again.rest.close()
    again.grpc.close()


def test_an_address_of_another_machine_is_refused_with_the_reason() -> None:
    with pytest.raises(
        OSError, match=r"REST cannot listen on 192\.0\.2\.1:0: cannot assign requested address"
    ):
        ports.take("192.0.2.1", 0, 0)


def test_a_name_that_can_be_none_is_refused_with_the_reason() -> None:
    with pytest.raises(OSError, match=r"REST cannot listen on a\.\.b:0: 'a\.\.b' is no address"):
        ports.take("a..b", 0, 0)
