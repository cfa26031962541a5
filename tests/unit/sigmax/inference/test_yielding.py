"""Beside the event loop the interpreter is given away soon, and as usual again when nobody works any more."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from sigmax.inference.yielding import SWITCH_SECONDS, Yielding

USUAL = 0.003


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(USUAL)
    yield
    sys.setswitchinterval(before)


def test_the_interval_is_short_inside_and_as_it_was_outside() -> None:
    with Yielding():
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)

    assert sys.getswitchinterval() == pytest.approx(USUAL)


def test_it_stays_short_until_the_last_of_several_threads_is_done() -> None:
    gently, inside, over = Yielding(), threading.Event(), threading.Event()

    def work() -> None:
        with gently:
            inside.set()
            over.wait(60)

    thread = threading.Thread(target=work)
    with gently:
        thread.start()
        assert inside.wait(60)
    assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    over.set()
    thread.join()

    assert sys.getswitchinterval() == pytest.approx(USUAL)


def test_work_that_fails_gives_it_back() -> None:
    with pytest.raises(ZeroDivisionError), Yielding():
        raise ZeroDivisionError

    assert sys.getswitchinterval() == pytest.approx(USUAL)
