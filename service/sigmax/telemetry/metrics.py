"""The metrics of one process, in Prometheus' text format.

Label values are bounded: a model that is not there, which a caller can name at will, counts under one
value, `unknown`.

Counting is plain arithmetic on the event loop's own thread: the client library's locks and look-ups
would cost more than the model. The library writes what was counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from time import perf_counter

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

UNKNOWN = "unknown"
OK = "OK"
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


class Metrics(Collector):
    """Every instrument, in a registry of its own."""

    def __init__(self) -> None:
        self._meters: list[Meter] = []
        self._rows: dict[tuple[str, str], Tally] = {}
        self._values: dict[tuple[str, str, str], Unusual] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._state = Gauge(
            "sigmax_model_state",
            "1 where the version answers requests, 0 where it was refused.",
            ("model", "version"),
            registry=self._registry,
        )

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
        self._state.labels(model, str(version)).set(1 if ready else 0)

    def exposition(self) -> bytes:
        """Every series, as `GET /metrics` answers."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What the meters counted, for the library to write."""
        labels = ("model", "version", "door", "verb")
        requests = CounterMetricFamily(
            "sigmax_requests",
            "Requests answered, by result code; a code other than OK is an error.",
            labels=(*labels, "code"),
        )
        seconds = HistogramMetricFamily(
            "sigmax_request_duration_seconds",
            "From the request's last byte to the answer's first, without the transport.",
            labels=labels,
        )
        rows = HistogramMetricFamily("sigmax_batch_rows", "Rows of one run of the model.", labels=labels[:2])
        for meter in self._meters:
            where = (meter.door, meter.verb)
            for (model, version), series in meter.series.items():
                for code, count in series.codes.items():
                    requests.add_metric((model, version, *where, code), count)
                seconds.add_metric((model, version, *where), *series.seconds.buckets())

        for key, tally in self._rows.items():
            rows.add_metric(key, *tally.buckets())
        yield from (requests, seconds, rows, *self._waiting(), *self._unusual())

    def _waiting(self) -> Iterator[Metric]:
        labels = ("model", "version")
        seconds = HistogramMetricFamily(
            "sigmax_queue_seconds",
            "What requests of a costly model waited before its run began.",
            labels=labels,
        )
        rows = GaugeMetricFamily(
            "sigmax_queue_rows", "Rows of a costly model that wait or are computed.", labels=labels
        )
        dropped = CounterMetricFamily(
            "sigmax_queue_dropped",
            "Requests of a costly model that were not computed: their deadline passed, or their caller left.",
            labels=(*labels, "reason"),
        )
        for key, lane in self._lanes.items():
            seconds.add_metric(key, *lane.seconds.buckets())
            rows.add_metric(key, lane.rows_waiting)
            dropped.add_metric((*key, "expired"), lane.expired)
            dropped.add_metric((*key, "cancelled"), lane.cancelled)
        yield from (seconds, rows, dropped)

    def _unusual(self) -> Iterator[Metric]:
        labels = ("model", "version", "feature")
        unknown = CounterMetricFamily(
            "sigmax_unknown_categories",
            "Categories that training had not seen, of rows that were predicted all the same.",
            labels=labels,
        )
        missing = CounterMetricFamily(
            "sigmax_missing_values", "Missing values of rows that were predicted all the same.", labels=labels
        )
        for key, values in self._values.items():
            if values.unknown:
                unknown.add_metric(key, values.unknown)
            if values.missing:
                missing.add_metric(key, values.missing)
        yield from (unknown, missing)


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

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulative counts by upper bound, as Prometheus has them, and the sum."""
        bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        return list(zip(bounds, accumulate(self._counts), strict=True)), self._total


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
