"""The load generator accounts for every request, and a bad answer is never a fast one."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import grpc
import pytest
from benchmarks.generator import CLOSED, POISSON, STEADY, Account, Generator, Plan
from benchmarks.wires import Question

METHOD = "/some.Service/Method"
Handler = Callable[[bytes, grpc.ServicerContext], bytes]


@contextlib.contextmanager
def grpc_server(handle: Handler, threads: int = 4) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(threads))
    handlers = {"Method": grpc.unary_unary_rpc_method_handler(handle)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("some.Service", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@contextlib.contextmanager
def http_server(answer: Callable[[], bytes]) -> Iterator[int]:
    """Answers every request of a connection; an empty answer closes it."""

    def talk(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while connection.recv(65536):
                said = answer()
                if not said:
                    return
                connection.sendall(said)

    def listen(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def http(content: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(content), content)


def drive(
    port: int,
    *,
    grpc: bool,
    arrivals: str = POISSON,
    connections: int = 4,
    streams: int = 1,
    rate: float = 500,
    drain: float = 30,
) -> Account:
    question = Question(METHOD, b"question" * 5_000, b"answer", (("Content-Type", "text/plain"),))
    plan = Plan(grpc, port, connections, streams, arrivals, rate, seconds=0.2, drain=drain)
    return Generator(plan, [question]).run()


def balanced(account: Account) -> bool:
    return account.attempted == account.ok + sum(account.errors.values())


@pytest.mark.parametrize("arrivals", [POISSON, STEADY, CLOSED])
def test_every_right_answer_of_grpc_is_ok(arrivals: str) -> None:
    with grpc_server(lambda request, _: b"answer" if request == b"question" * 5_000 else b"") as port:
        account = drive(port, grpc=True, arrivals=arrivals, streams=8)

    assert account.ok == account.attempted > 0
    assert not account.errors


def test_a_grpc_status_is_an_error_by_its_number() -> None:
    numbers = count()

    def every_third(_: bytes, context: grpc.ServicerContext) -> bytes:
        if next(numbers) % 3 == 0:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no more")
        return b"answer"

    with grpc_server(every_third) as port:
        account = drive(port, grpc=True, streams=8)

    assert set(account.errors) == {"gRPC status 8"}
    assert account.ok > 0
    assert balanced(account)


def test_another_message_than_the_right_one_is_an_error() -> None:
    with grpc_server(lambda *_: b"answes") as port:
        account = drive(port, grpc=True)

    assert (account.ok, account.errors) == (0, {"another answer": account.attempted})


def test_a_server_that_cannot_keep_up_is_seen_in_the_latency_though_each_answer_is_fast() -> None:
    turn = threading.Event()

    def slow(*_: object) -> bytes:
        turn.wait(0.006)  # never set: 100 of them take 0.6 s, and are due within 0.2 s
        return b"answer"

    with grpc_server(slow, threads=1) as port:
        account = drive(port, grpc=True, arrivals=STEADY, connections=1)

    assert account.ok == account.attempted == 100
    assert account.at(0.99) > 0.3


def test_an_http_status_and_a_closed_connection_are_errors_and_the_generator_goes_on() -> None:
    said = count()

    def answer() -> bytes:
        number = next(said)
        if number % 5 == 0:
            return b""
        return http(b"busy", b"429 Too Many") if number % 5 == 1 else http(b"answer")

    with http_server(answer) as port:
        account = drive(port, grpc=False)

    assert set(account.errors) == {"the connection was closed", "HTTP 429"}
    assert account.ok > 0
    assert balanced(account)


def test_what_could_not_be_sent_is_counted() -> None:
    begun = threading.Event()

    def silent() -> bytes:
        begun.set()
        threading.Event().wait()
        return b""

    with http_server(silent) as port:
        account = drive(port, grpc=False, connections=1, drain=0.2)

    assert begun.is_set()
    assert account.ok == 0
    assert account.errors["not answered"] == 1
    assert account.errors["not sent"] == account.attempted - 1
