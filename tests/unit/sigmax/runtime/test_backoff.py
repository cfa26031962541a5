"""A dead worker is replaced at once, a row of dead workers ever more slowly."""

from __future__ import annotations

from sigmax.runtime.backoff import HEALTHY_SECONDS, Backoff


def test_an_accident_is_made_good_at_once_however_often_it_happens() -> None:
    backoff = Backoff()

    assert [backoff.died(HEALTHY_SECONDS) for _ in range(20)] == [0] * 20


def test_workers_that_die_young_are_started_ever_more_slowly_up_to_ten_seconds() -> None:
    backoff = Backoff()

    waits = [backoff.died(1.0) for _ in range(10)]

    assert waits == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]


def test_a_worker_that_lived_long_enough_ends_the_row() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.died(None)

    assert backoff.died(HEALTHY_SECONDS) == 0
    assert backoff.died(None) == 0


def test_those_that_never_answered_are_counted_until_one_does() -> None:
    backoff = Backoff()
    for _ in range(3):
        backoff.died(None)
    counted = backoff.stillborn
    backoff.born()

    assert (counted, backoff.stillborn) == (3, 0)
