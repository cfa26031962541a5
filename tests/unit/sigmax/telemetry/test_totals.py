"""Figures of several processes become one set of figures that never goes down."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmax.telemetry import totals
from sigmax.telemetry.metrics import FAMILIES, OK, Metrics
from sigmax.telemetry.totals import COUNTER, COUNTERS, HISTOGRAM, LATEST, LEAST, MOST, SUM, Figures

REQUESTS = (COUNTER, "requests", ("iris",))
SECONDS = (HISTOGRAM, "seconds", ("iris",))


@pytest.mark.parametrize(("kind", "expected"), [(COUNTER, 5), (SUM, 5), (LEAST, 2), (MOST, 3), (LATEST, 3)])
def test_a_kind_says_how_two_numbers_become_one(kind: str, expected: float) -> None:
    total: Figures = {}
    for value in (2, 3):
        totals.add(total, {(kind, "name", ()): value})

    assert total == {(kind, "name", ()): expected}


def test_histograms_are_added_bucket_by_bucket() -> None:
    total: Figures = {SECONDS: [1, 2, 0.5]}

    totals.add(total, {SECONDS: [10, 0, 1.5]})

    assert total == {SECONDS: [11, 2, 2.0]}


def test_several_counters_are_added_one_by_one() -> None:
    key = (COUNTERS, "parts", ("iris",))
    total: Figures = {key: [1, 2, 3]}

    totals.add(total, {key: [10, 0, 1]})

    assert total == {key: [11, 2, 4]}


def test_some_families_are_picked_out_of_many() -> None:
    figures: Figures = {REQUESTS: 3, SECONDS: [1, 0.5]}

    assert totals.of(figures, ["seconds"]) == {SECONDS: [1, 0.5]}
    assert totals.of(figures, []) == figures


def test_adding_leaves_the_figures_of_a_process_alone() -> None:
    own: Figures = {SECONDS: [1, 2, 0.5]}
    total: Figures = {}
    totals.add(total, own)
    totals.add(total, own)

    assert own == {SECONDS: [1, 2, 0.5]}


def test_gauges_end_with_their_process_and_totals_do_not() -> None:
    lasting: Figures = {REQUESTS: 3, SECONDS: [1, 0.5], (COUNTERS, "parts", ()): [1], (LATEST, "last", ()): 5}
    figures: Figures = {**lasting, (LEAST, "state", ("iris", "1")): 1}

    assert totals.lasting(figures) == lasting


def test_only_what_changed_is_sent() -> None:
    known: Figures = {REQUESTS: 3, SECONDS: [1, 0.5]}

    assert totals.changes({REQUESTS: 4, SECONDS: [1, 0.5]}, known) == [[*REQUESTS, 4]]


@given(
    st.lists(
        st.dictionaries(
            st.tuples(st.just(COUNTER), st.sampled_from("abc"), st.tuples(st.text(max_size=3))),
            st.integers(0, 9),
        ),
        max_size=5,
    )
)
def test_changes_one_after_the_other_give_what_the_process_has(steps: list[Figures]) -> None:
    """Series never go away here; each step has those before, as counters do."""
    own: Figures = {}
    known: Figures = {}
    for step in steps:
        before = dict(own)
        own.update(step)
        totals.update(known, json.loads(json.dumps(totals.changes(own, before))))

    assert known == own


def test_every_series_has_a_declared_family_with_as_many_labels() -> None:
    metrics = Metrics()
    metrics.verb("rest", "classes").request("iris", "1", OK, 0.0, 2)
    metrics.verb("rest", "classes").unusual("iris", "1", "width", 1, 1)
    metrics.model_state("iris", 1, ready=True)

    for kind, name, labels in metrics.figures():
        assert kind == FAMILIES[name].kind
        assert len(labels) == len(FAMILIES[name].labels)


def test_the_exposition_of_two_processes_is_their_sum() -> None:
    total: Figures = {}
    for rows in (2, 3):
        metrics = Metrics()
        metrics.verb("rest", "classes").request("iris", "1", OK, 0.0, rows)
        metrics.model_state("iris", 1, ready=rows == 2)
        totals.add(total, metrics.figures())

    text = Metrics().exposition(total).decode()

    labels = 'door="rest",model="iris",verb="classes",version="1"'
    assert f'sigmax_requests_total{{code="OK",{labels}}} 2.0\n' in text
    assert f"sigmax_request_duration_seconds_count{{{labels}}} 2.0\n" in text
    assert 'sigmax_batch_rows_bucket{le="2.0",model="iris",version="1"} 1.0\n' in text
    assert 'sigmax_batch_rows_bucket{le="+Inf",model="iris",version="1"} 2.0\n' in text
    assert 'sigmax_batch_rows_sum{model="iris",version="1"} 5.0\n' in text
    assert 'sigmax_model_state{model="iris",version="1"} 0.0\n' in text  # one process does not answer with it
