"""Every kind of model that Sigmax trains, as small jobs: an estimator, a head, a data set and a type each.

A covering set, not the product: every estimator with every head of every task, each data set and both types
with several of them. How exactly they are served is left to `measure`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sigmax.contract import FloatType, Head, Task
from sigmax_training import job as jobs
from sigmax_training.job import Job

JOBS = Path(__file__).parents[2] / "training" / "jobs"
"""Where lease.csv lies."""

_LOGISTIC = "kind = 'logistic_regression'\n"
_MLP = "kind = 'mlp'\nbatch_size = 32\nlearning_rate = 0.02\nepochs = 6\nearly_stopping = false\n"

ESTIMATORS: Mapping[str, str] = {
    "logistic regression, l2, newton-cholesky": _LOGISTIC + "penalty = 'l2'\nsolver = 'newton-cholesky'",
    "logistic regression, l2, lbfgs": _LOGISTIC + "penalty = 'l2'\nsolver = 'lbfgs'",
    "logistic regression, none, lbfgs": _LOGISTIC + "penalty = 'none'\nsolver = 'lbfgs'",
    "logistic regression, l1, saga": _LOGISTIC + "penalty = 'l1'\nC = 0.1\ntol = 1e-3",
    "logistic regression, elastic net, saga": _LOGISTIC + "penalty = 'elastic_net'\nC = 0.1\ntol = 1e-3",
    "mlp, no hidden layer, sgd": _MLP + "hidden = []\noptimiser = 'sgd'",
    "mlp, no hidden layer, adam": _MLP + "hidden = []\noptimiser = 'adam'",
    "mlp, 16 relu, early stopping": _MLP.replace("false", "true") + "hidden = [16]\nactivation = 'relu'",
    "mlp, 16 and 8 tanh": _MLP + "hidden = [16, 8]\nactivation = 'tanh'",
    "mlp, 16 and 8 logistic": _MLP + "hidden = [16, 8]\nactivation = 'logistic'",
    "mlp, 16 and 8 identity": _MLP + "hidden = [16, 8]\nactivation = 'identity'",
}
"""By the name in the table: what the job's [estimator] says."""

_LEASE = """path = 'lease.csv'
{target}
[features]
missing = 'median'
unknown = 'zero'
[features.columns.'준공연도']
kind = 'integer'
[features.columns.'층']
kind = 'integer'
[features.columns.'엘리베이터']
missing = 'most_frequent'
"""

DATA: Mapping[str, tuple[Task, str]] = {
    "breast_cancer": (Task.BINARY, "builtin = 'breast_cancer'"),
    "lease": (Task.BINARY, _LEASE.format(target="target = '결과'")),
    "iris": (Task.MULTICLASS, "builtin = 'iris'"),
    "wine": (Task.MULTICLASS, "builtin = 'wine'"),
    "digits": (Task.MULTICLASS, "builtin = 'digits'"),
    "lease by district": (Task.MULTICLASS, _LEASE.format(target="target = '지역'")),
    "digit_traits": (Task.MULTILABEL, "builtin = 'digit_traits'"),
    "lease by heating": (Task.MULTILABEL, _LEASE.format(target="target = '난방'\nseparator = '|'")),
}
"""By the name in the table: the task, and what the job's [data] and [features] say.

lease.csv has categories, booleans, integers, missing values and Korean names. With another target than its
own it is a table of several classes, or of labels of which a row has one or none.
"""

_JOB = """name = '{name}'
head = '{head}'
dtype = '{dtype}'
[data]
{data}
[estimator]
{estimator}
[evaluation]
folds = 2
repeats = 1
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """One supported model; `estimator` and `data` are keys of the tables above."""

    estimator: str
    head: Head
    data: str
    dtype: FloatType

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells it from the others, as the table in docs/models.md writes it."""
        return (self.estimator, self.head.value, self.data, self.dtype.value)

    @property
    def task(self) -> Task:
        """What is asked of a row."""
        return DATA[self.data][0]

    @property
    def job(self) -> Job:
        """The job that trains it; its folds are few, because how good it is does not matter here."""
        text = _JOB.format(
            name="pair",
            head=self.head.value,
            dtype=self.dtype.value,
            data=DATA[self.data][1],
            estimator=ESTIMATORS[self.estimator],
        )
        return jobs.parse(text, JOBS)


_COLUMNS = (
    (Task.BINARY, Head.SIGMOID),
    (Task.BINARY, Head.SOFTMAX),
    (Task.MULTICLASS, Head.SOFTMAX),
    (Task.MULTICLASS, Head.ONE_VS_REST),
    (Task.MULTILABEL, Head.SIGMOID),
)
_64, _32 = FloatType.FLOAT64, FloatType.FLOAT32
_CANCER, _LET, _IRIS, _WINE, _DIGITS, _DISTRICT, _TRAITS, _HEATING = DATA

_CHOSEN = (
    ((_CANCER, _64), (_CANCER, _32), (_IRIS, _64), (_WINE, _32), (_TRAITS, _64)),
    ((_LET, _64), (_CANCER, _64), (_DIGITS, _32), (_IRIS, _64), (_HEATING, _32)),
    ((_LET, _32), (_LET, _64), (_DISTRICT, _64), (_IRIS, _32), (_TRAITS, _64)),
    ((_CANCER, _32), (_CANCER, _64), (_WINE, _64), (_IRIS, _64), (_HEATING, _64)),
    ((_CANCER, _64), (_CANCER, _32), (_IRIS, _32), (_WINE, _64), (_HEATING, _32)),
    ((_CANCER, _64), (_LET, _32), (_DIGITS, _64), (_DIGITS, _32), (_TRAITS, _32)),
    ((_CANCER, _32), (_CANCER, _64), (_WINE, _32), (_DISTRICT, _64), (_TRAITS, _64)),
    ((_CANCER, _32), (_CANCER, _64), (_DIGITS, _32), (_WINE, _64), (_TRAITS, _32)),
    ((_LET, _32), (_CANCER, _32), (_IRIS, _64), (_DIGITS, _64), (_TRAITS, _64)),
    ((_CANCER, _64), (_CANCER, _32), (_DISTRICT, _32), (_WINE, _32), (_TRAITS, _32)),
    ((_CANCER, _32), (_LET, _64), (_WINE, _64), (_IRIS, _32), (_TRAITS, _64)),
)
"""A row for each estimator, a column for each task and head: the data set and the type."""

PAIRS = tuple(
    Pair(estimator, head, data, dtype)
    for estimator, chosen in zip(ESTIMATORS, _CHOSEN, strict=True)
    for (_, head), (data, dtype) in zip(_COLUMNS, chosen, strict=True)
)
