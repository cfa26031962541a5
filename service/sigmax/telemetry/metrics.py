"""The metrics of one process, each declared here once.

Label values are bounded: a model that is not there, which a caller can name at will, counts under one
value, `unknown`.

Counting is plain arithmetic on the event loop's own thread: the client library's locks and look-ups
would cost more than the model. The library writes what was counted (`exposition.py`) when it is asked for:
by this process, or by all of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import Literal, NamedTuple

from sigmax.telemetry.totals import COUNTER, HISTOGRAM, LEAST, SUM, Figures, Value

UNKNOWN = "unknown"
OK = "OK"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_VERSION = ("model", "version")
_VERB = (*_VERSION, "door", "verb")
_FEATURE = (*_VERSION, "feature")


class Family(NamedTuple):
    """An instrument.

    Attributes:
        kind: of `totals`: how figures of several processes become one.
        text: what it says, for people.
        labels: their names.
        bounds: of a histogram, the upper bounds of its buckets; one more is without end.
    """

    kind: str
    text: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()


FAMILIES = {
    "sigmax_requests": Family(
        COUNTER, "Requests answered, by result code; a code other than OK is an error.", (*_VERB, "code")
    ),
    "sigmax_request_duration_seconds": Family(
        HISTOGRAM,
        "From the request's last byte to the answer's first, without the transport.",
        _VERB,
        _SECONDS,
    ),
    "sigmax_batch_rows": Family(HISTOGRAM, "Rows of one run of the model.", _VERSION, _ROWS),
    "sigmax_queue_seconds": Family(
        HISTOGRAM, "What requests of a costly model waited before its run began.", _VERSION, _SECONDS
    ),
    "sigmax_queue_rows": Family(SUM, "Rows of a costly model that wait or are computed.", _VERSION),
    "sigmax_queue_dropped": Family(
        COUNTER,
        "Requests of a costly model that were not computed: their deadline passed, or their caller left.",
        (*_VERSION, "reason"),
    ),
    "sigmax_unknown_categories": Family(
        COUNTER, "Categories that training had not seen, of rows that were predicted all the same.", _FEATURE
    ),
    "sigmax_missing_values": Family(
        COUNTER, "Missing values of rows that were predicted all the same.", _FEATURE
    ),
    "sigmax_model_state": Family(
        LEAST, "1 where the version answers requests, 0 where it was refused.", _VERSION
    ),
    "sigmax_model_reloads": Family(
        COUNTER,
        "Versions that came while the service was running, in each process: live, or refused.",
        ("model", "outcome"),
    ),
    "sigmax_model_control": Family(
        COUNTER, "Requests to list, load or unload models, by what became of them.", ("verb", "code")
    ),
    "sigmax_workers": Family(SUM, "Processes that answer requests: wanted, and ready.", ("state",)),
    "sigmax_worker_restarts": Family(
        COUNTER, "Workers that ended without being told to, by what ended them.", ("reason",)
    ),
}
"""Every instrument, by the name without `_total`."""


class Metrics:
    """What this process counts."""

    def __init__(self) -> None:
        self._meters: list[Meter] = []
        self._rows: dict[tuple[str, str], Tally] = {}
        self._values: dict[tuple[str, str, str], Unusual] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._states: dict[tuple[str, str], int] = {}
        self._reloads: dict[tuple[str, str], int] = {}
        self._controls: dict[tuple[str, str], int] = {}

    def verb(self, door: str, verb: str) -> Meter:
        """What records the requests of one verb at one door."""
        self._meters.append(Meter(door, verb, self._rows, self._values))
        return self._meters[-1]

    def lane(self, model: str, version: str) -> Lane:
        """What counts the runs of a version whose requests are put together."""
        key = model, version
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(self._rows.setdefault(key, Tally(_ROWS)))
        return lane

    def model_state(self, model: str, version: int, ready: bool) -> None:
        """Set whether a version answers."""
        self._states[model, str(version)] = int(ready)

    def forget_state(self, model: str, version: int) -> None:
        """A version neither answers nor is refused any more; what was counted of it stays."""
        self._states.pop((model, str(version)), None)

    def reloaded(self, model: str, outcome: Literal["live", "refused"]) -> None:
        """Count a version that came while the service was running."""
        self._reloads[model, outcome] = self._reloads.get((model, outcome), 0) + 1

    def controlled(self, verb: Literal["index", "load", "unload"], code: str) -> None:
        """Count a request to list, load or unload models."""
        self._controls[verb, code] = self._controls.get((verb, code), 0) + 1

    def figures(self) -> Figures:
        """Every series as it stands."""
        return {(FAMILIES[name].kind, name, labels): value for name, labels, value in self._series()}

    def exposition(self, figures: Figures | None = None) -> bytes:
        """Every series of this process, or those given, as `GET /metrics` answers."""
        from sigmax.telemetry import exposition  # noqa: PLC0415 - slow to load, and nobody may ever ask

        return exposition.write(FAMILIES, self.figures() if figures is None else figures)

    def _series(self) -> Iterable[tuple[str, tuple[str, ...], Value]]:
        for meter in self._meters:
            yield from meter.figures()
        for version, tally in self._rows.items():
            yield "sigmax_batch_rows", version, tally.figures()
        for version, lane in self._lanes.items():
            yield "sigmax_queue_seconds", version, lane.seconds.figures()
            yield "sigmax_queue_rows", version, lane.rows_waiting
            yield "sigmax_queue_dropped", (*version, "expired"), lane.expired
            yield "sigmax_queue_dropped", (*version, "cancelled"), lane.cancelled
        for feature, values in self._values.items():
            if values.unknown:
                yield "sigmax_unknown_categories", feature, values.unknown
            if values.missing:
                yield "sigmax_missing_values", feature, values.missing
        for version, state in self._states.items():
            yield "sigmax_model_state", version, state
        for outcome, count in self._reloads.items():
            yield "sigmax_model_reloads", outcome, count
        for control, count in self._controls.items():
            yield "sigmax_model_control", control, count


class Tally:
    """A histogram: how many values fell into each bucket, and their sum."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def figures(self) -> list[float]:
        """The count of each bucket and, last, the sum."""
        return [*self._counts, self._total]


class Lane:
    """What was counted of the runs of one version whose requests are put together.

    Attributes:
        rows_waiting: rows that wait or are computed now.
        expired: requests that were not computed, for their deadline had passed.
        cancelled: likewise, for their caller had left.
    """

    __slots__ = ("_rows", "cancelled", "expired", "rows_waiting", "seconds")

    def __init__(self, rows: Tally) -> None:
        self._rows, self.seconds = rows, Tally(_SECONDS)
        self.rows_waiting = self.expired = self.cancelled = 0

    def run(self, rows: int, waited: list[float]) -> None:
        """Count a run of so many rows, and what each of its requests waited for it, in seconds."""
        if rows:
            self._rows.add(rows)
        for seconds in waited:
            self.seconds.add(seconds)

    def drop(self, expired: int, cancelled: int) -> None:
        """Count requests that were not computed."""
        self.expired += expired
        self.cancelled += cancelled


class Series:
    """What was counted of one version at one door and verb; its rows, of the version at every door."""

    __slots__ = ("codes", "rows", "seconds")

    def __init__(self, rows: Tally) -> None:
        self.codes: dict[str, int] = {}
        self.seconds = Tally(_SECONDS)
        self.rows = rows


class Unusual:
    """How many values of one feature were unknown categories, and how many were missing, at every door."""

    __slots__ = ("missing", "unknown")

    def __init__(self) -> None:
        self.unknown = self.missing = 0


class Meter:
    """Records the requests of one verb at one door."""

    __slots__ = ("_rows", "_values", "door", "series", "verb")

    def __init__(
        self,
        door: str,
        verb: str,
        rows: dict[tuple[str, str], Tally],
        values: dict[tuple[str, str, str], Unusual],
    ) -> None:
        self.door, self.verb, self._rows, self._values = door, verb, rows, values
        self.series: dict[tuple[str, str], Series] = {}

    def figures(self) -> Iterator[tuple[str, tuple[str, ...], Value]]:
        """Every series as it stands: name, labels, value."""
        for version, series in self.series.items():
            verb = (*version, self.door, self.verb)
            for code, count in series.codes.items():
                yield "sigmax_requests", (*verb, code), count
            yield "sigmax_request_duration_seconds", verb, series.seconds.figures()

    def request(self, model: str, version: str, code: str, started: float, rows: int) -> None:
        """Count one request.

        Args:
            model: that was asked.
            version: that answered.
            code: what became of it.
            started: when, of `time.perf_counter`.
            rows: of the run that was made for it; 0 if there was none, or one that is counted by its `Lane`.
        """
        key = model, version
        series = self.series.get(key)
        if series is None:
            series = self.series[key] = Series(self._rows.setdefault(key, Tally(_ROWS)))
        series.codes[code] = series.codes.get(code, 0) + 1
        if rows:
            series.rows.add(rows)
        series.seconds.add(perf_counter() - started)

    def unusual(self, model: str, version: str, feature: str, unknown: int, missing: int) -> None:
        """Count values of one feature that were accepted although they say little.

        Args:
            model: that was asked.
            version: that answered.
            feature: of the manifest, so that there are only so many.
            unknown: categories that are not in the vocabulary.
            missing: values that were not there.
        """
        values = self._values.setdefault((model, version, feature), Unusual())
        values.unknown += unknown
        values.missing += missing
