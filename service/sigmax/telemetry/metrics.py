"""The metrics of one process, each declared here once.

Label values are bounded: a model that is not there, which a caller can name at will, counts under one
value, `unknown`.

Counting is plain arithmetic on the event loop's own thread: the client library's locks and look-ups
would cost more than the model. The library writes what was counted (`exposition.py`) when it is asked for:
by this process, or by all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from time import perf_counter
from typing import Literal, NamedTuple

from sigmax.telemetry.account import ROWS, Account, Share, Stages
from sigmax.telemetry.recent import Numbers, Recent
from sigmax.telemetry.tally import Tally
from sigmax.telemetry.totals import COUNTER, COUNTERS, HISTOGRAM, LATEST, LEAST, SUM, Figures, Key, Value

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


Version = tuple[str, str]
"""A model and its version."""

Feature = tuple[str, str, str]
"""A model, its version and one of its features."""


class Metrics:
    """What this process counts."""

    def __init__(self) -> None:
        self._meters: list[Meter] = []
        self._accounts: dict[Version, Account] = {}
        self._lanes: Recent[Version, Lane] = Recent()
        self._values: Recent[Feature, Unusual] = Recent()
        self._numbers = Numbers()

    def verb(self, door: str, verb: str) -> Meter:
        """What records the requests of one verb at one door."""
        self._meters.append(Meter(door, verb, self._accounts, self._values))
        return self._meters[-1]

    def lane(self, model: str, version: str) -> Lane:
        """What counts the runs of a version whose requests are put together."""
        return self._lanes.find((model, version), self._new_lane)

    def model_state(self, model: str, version: int, ready: bool) -> None:
        """Set whether a version answers."""
        self._numbers.put(_key("sigmax_model_state", (model, str(version))), int(ready))

    def forget_state(self, model: str, version: int) -> None:
        """A version neither answers nor is refused any more; what was counted of it stays."""
        self._numbers.drop(_key("sigmax_model_state", (model, str(version))))

    def reloaded(self, model: str, outcome: Literal["live", "refused"]) -> None:
        """Count a version that came while the service was running."""
        self._numbers.add(_key("sigmax_model_reloads", (model, outcome)), 1)

    def controlled(self, verb: Literal["index", "load", "unload"], code: str) -> None:
        """Count a request to list, load or unload models."""
        self._numbers.add(_key("sigmax_model_control", (verb, code)), 1)

    def figures(self) -> Figures:
        """Every series as it stands."""
        series = chain.from_iterable(meter.series.all.values() for meter in self._meters)
        counted: Iterable[Lane | Series] = chain(self._lanes.all.values(), series)
        return {**self._numbers.all, **_reckoned(counted, self._values.all.values())}

    def news(self) -> dict[Key, Value | None]:
        """Every series that may have changed since this was last asked; None for one that is no more.

        What rests is not looked at.
        """
        series = chain.from_iterable(meter.series.take() for meter in self._meters)
        counted: Iterable[Lane | Series] = chain(self._lanes.take(), series)
        return {**self._numbers.take(), **_reckoned(counted, self._values.take())}

    def exposition(self, figures: Figures | None = None) -> bytes:
        """Every series of this process, or those given, as `GET /metrics` answers."""
        from sigmax.telemetry import exposition  # noqa: PLC0415 - slow to load, and nobody may ever ask

        return exposition.write(FAMILIES, self.figures() if figures is None else figures)

    def _new_lane(self, version: Version) -> Lane:
        return Lane(version, self._accounts.setdefault(version, Account()), self._lanes)


def _key(name: str, labels: tuple[str, ...]) -> Key:
    return FAMILIES[name].kind, name, labels


def _reckoned(counted: Iterable[Lane | Series], values: Iterable[Unusual]) -> Figures:
    """The series of some of what counts, and of the accounts that it counts in, each once."""
    figures: Figures = dict(chain.from_iterable(one.figures() for one in values))
    accounts: dict[Version, Account] = {}
    for one in counted:
        figures.update(one.figures())
        accounts[one.version] = one.account
    for version, account in accounts.items():
        figures.update(_of_account(version, account))
    return figures


def _of_account(version: Version, account: Account) -> Iterator[tuple[Key, Value]]:
    """What is counted of one version at every door; of one that has never run, no more than is needed."""
    yield _key("sigmax_batch_rows", version), account.rows().figures()
    yield _key(TOTALS, version), [*account.totals()]
    last = account.last()
    if last:
        yield _key(STAGES, version), [*account.stages()]
        yield _key(LAST, version), last
    for rows, runs in account.sizes():
        yield _key(SIZES, (*version, str(rows))), runs.figures()


class Lane:
    """What was counted of the runs of one version whose requests are put together.

    It is kept while requests wait, so it says itself when it counts.

    Attributes:
        version: with the model.
        account: of it, which is of every door.
    """

    __slots__ = ("_beside", "_cancelled", "_expired", "_noted", "_rows", "_waits", "account", "version")

    def __init__(self, version: Version, account: Account, beside: Recent[Version, Lane]) -> None:
        self.version, self.account, self._beside = version, account, beside
        self._noted: dict[Version, Lane] | None = None
        self._waits = Tally(_SECONDS)
        self._rows = self._expired = self._cancelled = 0

    def rows_waiting(self, more: int) -> None:
        """So many rows more wait or are computed now; fewer, if it is negative."""
        if self._noted is not self._beside.touched:
            self._note()
        self._rows += more

    def run(self, rows: int, infer: float) -> None:
        """Count a run of so many rows, which took so many seconds."""
        if self._noted is not self._beside.touched:
            self._note()
        self.account.ran(rows, infer)

    def wait(self, seconds: float) -> None:
        """Count what a request waited for its run."""
        if self._noted is not self._beside.touched:
            self._note()
        self._waits.add(seconds)

    def drop(self, expired: int, cancelled: int) -> None:
        """Count requests that were not computed: their deadline had passed, or their caller had left."""
        if self._noted is not self._beside.touched:
            self._note()
        self._expired += expired
        self._cancelled += cancelled

    def figures(self) -> Iterator[tuple[Key, Value]]:
        """Its own series as they stand."""
        yield _key("sigmax_queue_seconds", self.version), self._waits.figures()
        yield _key("sigmax_queue_rows", self.version), self._rows
        yield _key("sigmax_queue_dropped", (*self.version, "expired")), self._expired
        yield _key("sigmax_queue_dropped", (*self.version, "cancelled")), self._cancelled

    def _note(self) -> None:
        """Be among those that have counted, once for each report."""
        self._noted = self._beside.touched
        self._noted[self.version] = self


class Unusual:
    """How many values of one feature were unknown categories, and how many were missing, at every door."""

    __slots__ = ("_feature", "missing", "unknown")

    def __init__(self, feature: Feature) -> None:
        self._feature = feature
        self.unknown = self.missing = 0

    def figures(self) -> Iterator[tuple[Key, Value]]:
        """Its series as they stand."""
        if self.unknown:
            yield _key("sigmax_unknown_categories", self._feature), self.unknown
        if self.missing:
            yield _key("sigmax_missing_values", self._feature), self.missing


class Series:
    """What was counted of one version at one door and verb.

    Attributes:
        version: with the model.
        account: of it, which is of every door.
        durations: of its requests, in seconds.
        failures: how many ended how, but for those that were answered.
    """

    __slots__ = ("_labels", "account", "durations", "failures", "version")

    def __init__(self, version: Version, door: str, verb: str, account: Account) -> None:
        self.version, self._labels, self.account = version, (*version, door, verb), account
        self.failures: dict[str, int] = {}
        self.durations = Tally(_SECONDS)

    def codes(self) -> dict[str, int]:
        """How many requests ended how."""
        answered = self.durations.count - sum(self.failures.values())
        return {OK: answered, **self.failures} if answered else self.failures

    def figures(self) -> Iterator[tuple[Key, Value]]:
        """Its own series as they stand."""
        for code, count in self.codes().items():
            yield _key("sigmax_requests", (*self._labels, code)), count
        yield _key("sigmax_request_duration_seconds", self._labels), self.durations.figures()


class Meter:
    """Records the requests of one verb at one door.

    Attributes:
        series: what was counted, by version.
    """

    __slots__ = ("_accounts", "_values", "door", "series", "verb")

    def __init__(
        self, door: str, verb: str, accounts: dict[Version, Account], values: Recent[Feature, Unusual]
    ) -> None:
        self.door, self.verb, self._accounts, self._values = door, verb, accounts, values
        self.series: Recent[Version, Series] = Recent()

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
        series = self.series.touched.get(key)
        if series is None:
            series = self.series.find(key, self._new_series)
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
        values = self._values.find((model, version, feature), Unusual)
        values.unknown += unknown
        values.missing += missing

    def _new_series(self, version: Version) -> Series:
        account = self._accounts.setdefault(version, Account())
        return Series(version, self.door, self.verb, account)
