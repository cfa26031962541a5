"""The metrics of one process, in Prometheus' text format.

Label values are bounded: a model that is not there, which a caller can name at will, counts under one
value, `unknown`.
"""

from __future__ import annotations

from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

UNKNOWN = "unknown"
OK = "OK"
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


class Metrics:
    """Every instrument, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("model", "version", "door", "verb")
        self._requests = Counter(
            "sigmax_requests",
            "Requests answered, by result code; a code other than OK is an error.",
            (*labels, "code"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "sigmax_request_duration_seconds",
            "From the request's last byte to the answer's first, without the transport.",
            labels,
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._rows = Histogram(
            "sigmax_batch_rows",
            "Rows predicted together.",
            ("model", "version"),
            buckets=_ROWS,
            registry=self._registry,
        )
        self._state = Gauge(
            "sigmax_model_state",
            "1 where the version answers requests, 0 where it was refused.",
            ("model", "version"),
            registry=self._registry,
        )

    def verb(self, door: str, verb: str) -> Meter:
        """What records the requests of one verb at one door."""
        return Meter(self._requests, self._seconds, self._rows, door, verb)

    def model_state(self, model: str, version: int, ready: bool) -> None:
        """Set whether a version answers."""
        self._state.labels(model, str(version)).set(1 if ready else 0)

    def exposition(self) -> bytes:
        """Every series, as `GET /metrics` answers."""
        return generate_latest(self._registry)


class Meter:
    """Records the requests of one verb at one door.

    Looking a series up by its labels costs more than counting in it, so each is looked up once.
    """

    __slots__ = (
        "_counters",
        "_door",
        "_histograms",
        "_requests",
        "_row_histograms",
        "_rows",
        "_seconds",
        "_verb",
    )

    def __init__(self, requests: Counter, seconds: Histogram, rows: Histogram, door: str, verb: str) -> None:
        self._requests, self._seconds, self._rows = requests, seconds, rows
        self._door, self._verb = door, verb
        self._counters: dict[tuple[str, str, str], Counter] = {}
        self._histograms: dict[tuple[str, str], Histogram] = {}
        self._row_histograms: dict[tuple[str, str], Histogram] = {}

    def request(self, model: str, version: str, code: str, started: float) -> None:
        """Count one request that began at `started` (of `time.perf_counter`)."""
        counter = self._counters.get((model, version, code))
        if counter is None:
            counter = self._requests.labels(model, version, self._door, self._verb, code)
            self._counters[model, version, code] = counter
        counter.inc()
        histogram = self._histograms.get((model, version))
        if histogram is None:
            histogram = self._seconds.labels(model, version, self._door, self._verb)
            self._histograms[model, version] = histogram
        histogram.observe(perf_counter() - started)

    def rows(self, model: str, version: str, count: int) -> None:
        """Count the rows of one batch."""
        histogram = self._row_histograms.get((model, version))
        if histogram is None:
            histogram = self._row_histograms[model, version] = self._rows.labels(model, version)
        histogram.observe(count)
