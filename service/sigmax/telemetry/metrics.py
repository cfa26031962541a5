"""The metrics of one process, each declared here once.

Label values are bounded: a model that is not there, which a caller can name at will, counts under one
value, `unknown`.

Counting is plain arithmetic on the event loop's own thread: the client library's locks and look-ups
would cost more than the model. The library writes what was counted (`exposition.py`) when it is asked for:
by this process, or by all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import Literal, NamedTuple

from sigmax.telemetry.account import ROWS, Account, Share, Stages, Told
from sigmax.telemetry.tally import Tally
from sigmax.telemetry.totals import COUNTER, COUNTERS, HISTOGRAM, LATEST, LEAST, SUM, Figures, Value

UNKNOWN = "unknown"
OK = "OK"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_VERSION = ("model", "version")
_VERB = (*_VERSION, "door", "verb")
_FEATURE = (*_VERSION, "feature")
_BY_ROWS = (*_VERSION, "rows")


class Family(NamedTuple):
    """An instrument.

    Attributes:
        kind: of `totals`: how figures of several processes become one.
        text: what it says, for people.
        labels: their names.
        bounds: of a histogram, the upper bounds of its buckets; one more is without end.
        part: of several counters, the label that tells them apart, and `parts`, its values.
        unit: how many of what is counted are one of what is shown.
        shown: whether `GET /metrics` has it; the rest is for `inference/statistics.py`.
    """

    kind: str
    text: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()
    part: str = ""
    parts: tuple[str, ...] = ()
    unit: float = 1
    shown: bool = True


STAGES = "sigmax_stage_seconds"
LAST = "sigmax_last_inference_timestamp_seconds"
TOTALS = "sigmax_statistics"
SIZES = "sigmax_statistics_by_rows"

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
    "sigmax_batch_rows": Family(HISTOGRAM, "Rows of one run of the model.", _VERSION, ROWS),
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
    STAGES: Family(
        COUNTERS,
        "What the stages of answered requests took.",
        _VERSION,
        part="stage",
        parts=Stages._fields,
        unit=1e9,
    ),
    LAST: Family(LATEST, "When the last run came to its end, since 1970.", _VERSION, unit=1000),
    TOTALS: Family(COUNTERS, "What became of requests.", _VERSION, shown=False),
    SIZES: Family(COUNTERS, "Runs and what they took, by how many rows they had.", _BY_ROWS, shown=False),
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
        self._accounts: dict[tuple[str, str], Account] = {}
        self._kept: dict[tuple[str, str], tuple[Told, Figures]] = {}
        self._values: dict[tuple[str, str, str], Unusual] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._states: dict[tuple[str, str], int] = {}
        self._reloads: dict[tuple[str, str], int] = {}
        self._controls: dict[tuple[str, str], int] = {}

    def verb(self, door: str, verb: str) -> Meter:
        """What records the requests of one verb at one door."""
        self._meters.append(Meter(door, verb, self._accounts, self._values))
        return self._meters[-1]

    def lane(self, model: str, version: str) -> Lane:
        """What counts the runs of a version whose requests are put together."""
        key = model, version
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(self._accounts.setdefault(key, Account()))
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
        figures = _keyed(self._series())
        for version, account in self._accounts.items():
            figures.update(self._counted(version, account.told()))
        return figures

    def exposition(self, figures: Figures | None = None) -> bytes:
        """Every series of this process, or those given, as `GET /metrics` answers."""
        from sigmax.telemetry import exposition  # noqa: PLC0415 - slow to load, and nobody may ever ask

        return exposition.write(FAMILIES, self.figures() if figures is None else figures)

    def _counted(self, version: tuple[str, str], told: Told) -> Figures:
        """What a version's account tells, kept until it tells something else: most of many models rest."""
        kept = self._kept.get(version)
        if kept is None or kept[0] is not told:
            kept = self._kept[version] = told, _keyed(_counted(version, told))
        return kept[1]

    def _series(self) -> Iterable[tuple[str, tuple[str, ...], Value]]:
        for meter in self._meters:
            yield from meter.figures()
        for version, lane in self._lanes.items():
            yield "sigmax_queue_seconds", version, lane.waits.figures()
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


def _keyed(series: Iterable[tuple[str, tuple[str, ...], Value]]) -> Figures:
    return {(FAMILIES[name].kind, name, labels): value for name, labels, value in series}


def _counted(version: tuple[str, str], told: Told) -> Iterator[tuple[str, tuple[str, ...], Value]]:
    """What is counted of one version at every door; of one that has never run, no more than is needed."""
    yield "sigmax_batch_rows", version, told.rows
    yield TOTALS, version, told.totals
    if told.last:
        yield STAGES, version, told.stages
        yield LAST, version, told.last
    for rows, runs in told.sizes:
        yield SIZES, (*version, rows), runs


class Lane:
    """What was counted of the runs of one version whose requests are put together.

    Attributes:
        waits: what its requests waited for their runs, in seconds.
        rows_waiting: rows that wait or are computed now.
        expired: requests that were not computed, for their deadline had passed.
        cancelled: likewise, for their caller had left.
    """

    __slots__ = ("_account", "cancelled", "expired", "rows_waiting", "waits")

    def __init__(self, account: Account) -> None:
        self._account, self.waits = account, Tally(_SECONDS)
        self.rows_waiting = self.expired = self.cancelled = 0

    def run(self, rows: int, infer: float) -> None:
        """Count a run of so many rows, which took so many seconds."""
        self._account.ran(rows, infer)

    def drop(self, expired: int, cancelled: int) -> None:
        """Count requests that were not computed."""
        self.expired += expired
        self.cancelled += cancelled


class Series:
    """What was counted of one version at one door and verb, and its account, which is of every door."""

    __slots__ = ("account", "durations", "failures")

    def __init__(self, account: Account) -> None:
        self.failures: dict[str, int] = {}
        self.durations = Tally(_SECONDS)
        self.account = account

    def codes(self) -> dict[str, int]:
        """How many requests ended how."""
        answered = self.durations.count - sum(self.failures.values())
        return {OK: answered, **self.failures} if answered else self.failures


class Unusual:
    """How many values of one feature were unknown categories, and how many were missing, at every door."""

    __slots__ = ("missing", "unknown")

    def __init__(self) -> None:
        self.unknown = self.missing = 0


class Meter:
    """Records the requests of one verb at one door."""

    __slots__ = ("_accounts", "_values", "door", "series", "verb")

    def __init__(
        self,
        door: str,
        verb: str,
        accounts: dict[tuple[str, str], Account],
        values: dict[tuple[str, str, str], Unusual],
    ) -> None:
        self.door, self.verb, self._accounts, self._values = door, verb, accounts, values
        self.series: dict[tuple[str, str], Series] = {}

    def figures(self) -> Iterator[tuple[str, tuple[str, ...], Value]]:
        """Every series as it stands: name, labels, value."""
        for version, series in self.series.items():
            verb = (*version, self.door, self.verb)
            for code, count in series.codes().items():
                yield "sigmax_requests", (*verb, code), count
            yield "sigmax_request_duration_seconds", verb, series.durations.figures()

    def request(
        self,
        model: str,
        version: str,
        code: str,
        started: float,
        rows: int,
        *,
        read: float = 0.0,
        ran: float = 0.0,
        share: Share | None = None,
    ) -> None:
        """Count one request; moments are seconds of `perf_counter`.

        Args:
            model: that was asked.
            version: that answered.
            code: what became of it.
            started: when it came.
            rows: of the request.
            read: when its features were there.
            ran: when the model was through; 0 if it never was.
            share: what the request had of runs that are counted by a `Lane`; without it, it was one.
        """
        ended = perf_counter()
        key = model, version
        series = self.series.get(key)
        if series is None:
            series = self.series[key] = Series(self._accounts.setdefault(key, Account()))
        series.durations.add(ended - started)
        if code != OK:
            series.failures[code] = series.failures.get(code, 0) + 1
            series.account.failed(ended - started)
            if ran and share is None:
                series.account.ran(rows, ran - read, read - started)
        elif share is None:
            series.account.alone(rows, started, read, ran, ended)
        else:
            series.account.shared(rows, share, read - started, ended - ran, ended - started)

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
