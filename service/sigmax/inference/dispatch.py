"""The one use case that every door calls: a query in, the door's own answer out.

Here stand, once for all doors: which model answers, how many rows are allowed, what is counted, and
what becomes of an error that nobody foresaw.
"""

from __future__ import annotations

import logging
from asyncio import CancelledError, current_task
from collections.abc import Callable, Generator
from time import perf_counter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from sigmax.errors import Cancelled, DeadlineExceeded, Internal, InvalidInput, Problem, SigmaxError
from sigmax.inference.batching import Batching
from sigmax.inference.catalog import Catalog, Served
from sigmax.protocol import ids
from sigmax.protocol.tabular import Rows
from sigmax.protocol.values import surely_finite
from sigmax.telemetry.account import Share
from sigmax.telemetry.metrics import OK, UNKNOWN, Meter

log = logging.getLogger(__name__)

_PASSED = "the timeout of the request passed before it was computed"

_ROUNDED, _ON_ITS_WAY = 0.01, 0.05
"""A caller gives up when its own deadline passes, a little before the one that it told us: gRPC rounds up to
three digits, and under load a message is on its way for tens of milliseconds."""

Answer_co = TypeVar("Answer_co", covariant=True)
T = TypeVar("T")


class Prediction(NamedTuple):
    """What a model said.

    Attributes:
        served: the version that said it.
        probabilities: (n_samples, n_classes).
        ids: one value a row where the query asked for them.
        logits: (n_samples, n_classes) where the query asked for them.
    """

    served: Served
    probabilities: npt.NDArray[Any]
    ids: list[Any] | None
    logits: npt.NDArray[Any] | None = None


class Query(Protocol[Answer_co]):
    """A request as a door understood it; the door's code, called between the stations."""

    @property
    def model(self) -> str:
        """The model asked for."""
        ...

    @property
    def version(self) -> str:
        """The version asked for; empty for the one that is served."""
        ...

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read the features as the model takes them; more than `max_rows` are refused unread."""
        ...

    @property
    def wants_logits(self) -> bool:
        """Whether the logits are asked for, too, of a model that gives them; known once the rows are read."""
        ...

    @property
    def timeout(self) -> float | None:
        """Seconds after which, from its coming, its answer is of no use; None: always. Known likewise."""
        ...

    def render(self, prediction: Prediction) -> Answer_co:
        """Put the prediction into the door's own form."""
        ...


class Dispatch:
    """Answers queries from a catalog."""

    __slots__ = ("_batching", "_catalog", "_max_rows")

    def __init__(self, catalog: Catalog, max_rows: int, batching: Batching | None = None) -> None:
        """Take what it needs.

        Args:
            catalog: the models.
            max_rows: of one request.
            batching: computes requests of costly models; without it every model runs here and now.
        """
        self._catalog, self._max_rows, self._batching = catalog, max_rows, batching

    def ask(self, meter: Meter, read: Callable[..., Query[T]], *request: Any) -> T | Promise[T]:
        """Answer one request: at once, or of a costly model by a promise.

        Args:
            meter: counts it under its door and verb.
            read: makes the query of the request's raw parts.
            request: those parts.

        Raises:
            SigmaxError: for the door to translate; never any other exception.
        """
        started = perf_counter()
        model, version, code, count, read_at, ran = UNKNOWN, "", OK, 0, 0.0, 0.0
        try:
            query = read(*request)
            served = self._catalog.find(query.model, query.version)
            model, version = served.name, served.version
            rows = query.rows(served, self._max_rows)
            count = len(rows.features)
            if count == 0:
                raise InvalidInput("no rows: send at least one")
            read_at = perf_counter()
            if query.timeout is not None and read_at - started >= query.timeout:
                raise DeadlineExceeded(_PASSED)
            if served.costs.batch_rows and self._batching is not None:
                code = ""
                return Promise(self._batching, meter, query, served, rows, started=started, read=read_at)
            if query.wants_logits:
                probabilities, logits = served.predictor.probabilities_and_logits(rows.features)
            else:
                probabilities, logits = served.predictor.probabilities(rows.features), None
            ran = perf_counter()
            if logits is not None:
                _check_logits(logits)
            _check_numbers(probabilities)
            if served.schema.usual is not None:
                _count_unusual(meter, served, rows.features)
            return query.render(Prediction(served, probabilities, rows.ids, logits))
        except SigmaxError as error:
            code = error.code.value
            raise
        except (Exception, CancelledError) as error:  # nothing is awaited here that could be cancelled
            code = Internal.code.value
            raise unforeseen(error) from error
        finally:
            if code:
                meter.request(model, version, code, started, count, read=read_at, ran=ran)

    def answer(self, meter: Meter, read: Callable[..., Query[T]], *request: Any) -> T:
        """Answer one request here and now; of a dispatch without batching. Arguments and errors as `ask`."""
        said = self.ask(meter, read, *request)
        if isinstance(said, Promise):
            raise TypeError("this dispatch puts requests together: its answers are promises")
        return said


class Promise(Generic[T]):
    """The answer to a request of a costly model: read and checked, computed when it is awaited, once."""

    __slots__ = ("_batching", "_meter", "_query", "_read", "_rows", "_served", "_started")

    def __init__(
        self,
        batching: Batching,
        meter: Meter,
        query: Query[T],
        served: Served,
        rows: Rows,
        *,
        started: float,
        read: float,
    ) -> None:
        self._batching, self._meter, self._started, self._read = batching, meter, started, read
        self._query, self._served, self._rows = query, served, rows

    def __await__(self) -> Generator[Any, None, T]:
        """The answer, however long it takes."""
        return self.within(None).__await__()

    async def within(self, seconds: float | None) -> T:
        """The answer, if it can be computed in time; cancelled before its turn it is not computed at all.

        Args:
            seconds: how long the caller waits; None for ever.

        Raises:
            SigmaxError: for the door to translate.
        """
        code, ran, share = OK, 0.0, None
        until = _until(seconds, self._query.timeout, self._started)
        try:
            prediction, share = await self._predicted(None if until is None else until - perf_counter())
            ran = perf_counter()
            return self._query.render(prediction)
        except CancelledError:
            code = (DeadlineExceeded if _is_over(until, seconds) else Cancelled).code.value
            raise
        except SigmaxError as error:
            code = error.code.value
            raise
        except Exception as error:
            code = Internal.code.value
            raise unforeseen(error) from error
        finally:
            name, version, rows = self._served.name, self._served.version, len(self._rows.features)
            self._meter.request(
                name, version, code, self._started, rows, read=self._read, ran=ran, share=share
            )

    async def _predicted(self, seconds: float | None) -> tuple[Prediction, Share]:
        served, features, ids = self._served, self._rows.features, self._rows.ids
        both = self._query.wants_logits
        probabilities, logits, share = await self._batching.run(
            served.predictor, served.costs, features, both=both, seconds=seconds
        )
        if logits is not None:
            _check_logits(logits)
        _check_numbers(probabilities)
        if served.schema.usual is not None:
            _count_unusual(self._meter, served, features)
        return Prediction(served, probabilities, ids, logits), share


def _until(seconds: float | None, timeout: float | None, started: float) -> float | None:
    """When an answer is of no use any more, of `perf_counter`: whichever comes first; None: never."""
    own = None if timeout is None else started + timeout
    if seconds is None:
        return own
    ends = perf_counter() + seconds
    return ends if own is None else min(ends, own)


def _is_over(until: float | None, seconds: float | None) -> bool:
    """Whether a caller that gave up did so for its deadline."""
    if until is None:
        return False
    return until - perf_counter() <= _ON_ITS_WAY + _ROUNDED * (seconds or 0.0)


def _count_unusual(meter: Meter, served: Served, features: npt.NDArray[Any]) -> None:
    """Count the missing values and the unknown categories of rows that were predicted."""
    schema = served.schema
    unusual = ~(features < schema.usual)  # NaN is below nothing
    if not unusual.any():
        return
    for column in np.flatnonzero(unusual.any(axis=0)).tolist():
        feature = schema.feature(column)
        total = int(np.count_nonzero(unusual[:, column]))
        unknown = 0
        if feature.unknown_code is not None:
            unknown = int(np.count_nonzero(features[:, column] == feature.unknown_code))
        meter.unusual(served.name, served.version, feature.name, unknown, total - unknown)


def _check_numbers(probabilities: npt.NDArray[Any]) -> None:
    """Finite features can still overflow inside the model; NaN is no answer."""
    if surely_finite(probabilities):
        return
    wrong = np.isnan(probabilities)
    if wrong.any():
        raise _overflow(wrong)


def _check_logits(logits: npt.NDArray[Any]) -> None:
    """An infinite logit may still be a probability of 0 or 1, but JSON has no word for it."""
    finite = np.isfinite(logits)
    if not finite.all():
        raise _overflow(~finite)


def _overflow(where: npt.NDArray[np.bool_]) -> InvalidInput:
    row = int(where.any(axis=1).argmax())
    text = "these features are so large that the model's arithmetic overflows"
    return InvalidInput.of([Problem(text, row=row, where=f"row {row}")])


def is_cancelled() -> bool:
    """Whether it is the running task that was cancelled, and not something that it waits for."""
    task = current_task()
    return task is not None and task.cancelling() > 0


def unforeseen(error: BaseException) -> Internal:
    """Log an error that nobody foresaw and give the caller an opaque id to ask about."""
    reference = ids.made()
    log.error("unforeseen error %s", reference, exc_info=error)
    return Internal(f"internal error, reference {reference}", reference)
