"""An epoch of a stream has every training row once, in an order of its own, and holds few of them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from tests.unit.training.streams import PART, Held, binary

from sigmax_training.data.stream import Part
from sigmax_training.minibatch import MiniBatchClassifier
from sigmax_training.streaming import survey as surveys
from sigmax_training.streaming.division import TRAINING, Fractions, divide
from sigmax_training.streaming.epochs import Epochs
from sigmax_training.streaming.shuffling import LANES, Lane, interleaved, shuffled, stretches


def epochs(stream: Any, *, buffer: int = 1000, batch_size: int = 32, standardise: bool = False) -> Epochs:
    division = divide(stream, Fractions(0.2, 0.0), 0)
    found = surveys.survey(stream, division, standardise=standardise, on_rows=lambda seen: None)
    return Epochs(stream, division, found, buffer, batch_size, 0, lambda seen: None)


def rows_of(source: Epochs, number: int) -> Any:
    return np.concatenate([features for features, _ in source.epoch(number)])


def training_rows(stream: Held, source: Epochs) -> Any:
    sides = [source.division.sides(part) for part in stream.read(range(stream.pieces))]
    return stream.features[np.concatenate(sides) == TRAINING]


@pytest.mark.parametrize("buffer", [1, 100, 1000, 100_000])
def test_every_epoch_has_every_training_row_once_in_another_order(buffer: int) -> None:
    stream = binary(7000)
    source = epochs(stream, buffer=buffer)

    first, second = rows_of(source, 1), rows_of(source, 2)

    expected = np.sort(training_rows(stream, source)[:, 0])
    np.testing.assert_array_equal(np.sort(first[:, 0]), expected)
    np.testing.assert_array_equal(np.sort(second[:, 0]), expected)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(rows_of(source, 1), first)


def test_chunks_are_whole_batches_but_for_the_last() -> None:
    source = epochs(binary(7000), batch_size=48)

    sizes = [len(features) for features, _ in source.epoch(1)]

    assert [0] * (len(sizes) - 1) == [size % 48 for size in sizes[:-1]]
    assert len(sizes) > 5
    assert source.rows == sum(sizes)


def test_a_batch_larger_than_the_buffer_is_a_batch_all_the_same() -> None:
    source = epochs(binary(7000), buffer=10, batch_size=500)

    assert {500} == {len(features) for features, _ in list(source.epoch(1))[:-1]}


def test_a_buffer_takes_no_more_memory_than_the_rows_would() -> None:
    source = epochs(binary(2000), buffer=10**15)

    assert source.rows == len(rows_of(source, 1))


def test_lanes_cover_the_stream_and_keep_the_same_pace() -> None:
    stream = binary(32 * 1024, piece=1024)
    lanes = [Lane(pieces, 1024 * len(pieces)) for pieces in stretches(stream.pieces)]

    places = [part.keys[0] // PART for part in interleaved(stream, lanes, np.random.default_rng(0))]

    assert sorted(places) == list(range(64))
    for start in range(0, 64, LANES):  # at any time all lanes have read equally much
        assert {*range(LANES)} == {int(place) * LANES // 64 for place in places[start : start + LANES]}


@pytest.mark.parametrize("pieces", [0, 1, 3, 8, 9, 153])
def test_stretches_have_every_piece_once(pieces: int) -> None:
    found = stretches(pieces)

    assert [*range(pieces)] == [piece for stretch in found for piece in stretch]
    assert len(found) == max(1, min(pieces, LANES))


def test_a_buffer_mixes_what_comes_in_order() -> None:
    rows = np.arange(10_000.0)
    parts = ((some[:, np.newaxis], some) for some in np.split(rows, 100))

    found = np.concatenate([codes for _, codes in shuffled(parts, 1000, 200, np.random.default_rng(0))])

    distance = np.abs(found - np.arange(10_000.0))
    assert 300 < distance.mean() < 3000
    neighbours = np.abs(np.diff(found))
    assert np.count_nonzero(neighbours == 1) < 50


def log_loss(stream: Held, source: Epochs, **settings: Any) -> float:
    classifier = MiniBatchClassifier(batch_size=64, alpha=1e-4, **settings).fit_chunks(source)
    return loss_of(classifier, stream, source)


def loss_of(classifier: MiniBatchClassifier, stream: Held, source: Epochs) -> float:
    chances = classifier.predict_proba(source.survey.preparation.transform(stream.features))
    return float(-np.log(chances[np.arange(stream.rows), stream.codes]).mean())


def test_rows_sorted_by_class_train_as_well_as_rows_that_are_not() -> None:
    losses = []
    for order in ("drawn", "sorted"):
        stream = binary(40_000, order=order, piece=1000)
        source = epochs(stream, buffer=4000, batch_size=64, standardise=True)
        losses.append(log_loss(stream, source, learning_rate=1e-2, epochs=2))

    drawn, by_class = losses
    assert abs(by_class - drawn) < 0.005


def test_a_stream_trains_as_well_as_rows_that_are_held() -> None:
    stream = binary(10_000)
    source = epochs(stream, batch_size=64, standardise=True)
    features, codes = zip(*source.epoch(1), strict=True)
    held = MiniBatchClassifier(batch_size=64, alpha=1e-4, learning_rate=3e-3, epochs=10)
    held.fit(np.concatenate(features), np.concatenate(codes))

    streamed = log_loss(stream, source, learning_rate=3e-3, epochs=10)

    assert abs(streamed - loss_of(held, stream, source)) < 0.001


def test_training_goes_on_from_a_state_to_the_same_bits() -> None:
    source = epochs(binary(5000))
    states: list[Any] = []
    whole = MiniBatchClassifier((4,), epochs=5).fit_chunks(source, on_state=states.append)

    again = MiniBatchClassifier((4,), epochs=5).fit_chunks(source, begin_at=states[1])

    for one, other in zip(whole.coefs_ + whole.intercepts_, again.coefs_ + again.intercepts_, strict=True):
        assert one.tobytes() == other.tobytes()
    assert [e.loss for e in whole.history_] == [e.loss for e in again.history_]


def test_a_training_that_diverges_ends_within_its_epoch() -> None:
    stream = binary(20_000)
    stream.features[:] *= 1e200
    source = epochs(stream)
    seen: list[int] = []

    class Watched:
        rows, counts, multilabel, taught = source.rows, source.counts, source.multilabel, source.taught

        def epoch(self, number: int) -> Iterator[Any]:
            for chunk in source.epoch(number):
                seen.append(len(chunk[0]))
                yield chunk

    with pytest.raises(ValueError, match="in epoch 1 of 3 its loss is no finite number"):
        MiniBatchClassifier(learning_rate=1e300, epochs=3).fit_chunks(Watched())
    assert sum(seen) < source.rows


@dataclass(frozen=True, slots=True, eq=False)
class Counting:
    """A stream that knows how many of its parts somebody still holds."""

    stream: Held
    alive: list[weakref.ref[Any]] = field(default_factory=list)
    most: list[int] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def read(self, order: Sequence[int]) -> Iterator[Part]:
        for part in self.stream.read(order):
            self.alive[:] = [known for known in self.alive if known() is not None]
            self.alive.append(weakref.ref(part.features))
            self.most.append(len(self.alive))
            yield part
            del part


@pytest.mark.parametrize("rows", [20_000, 60_000])
def test_no_pass_holds_the_parts_it_has_read(rows: int) -> None:
    stream = Counting(binary(rows))
    source = epochs(stream)
    for _ in source.epoch(1):
        pass
    gc.collect()

    assert len(stream.most) == 1 + 2 * -(-rows // PART)
    assert max(stream.most) <= LANES + 2
