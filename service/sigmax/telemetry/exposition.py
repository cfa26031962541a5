"""Figures in Prometheus' text format, written by its own library; its only importer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from sigmax.telemetry.totals import COUNTER, COUNTERS, HISTOGRAM, Figures

if TYPE_CHECKING:
    from sigmax.telemetry.metrics import Family


class _Figures(Collector):
    """What the library asks for its metrics."""

    def __init__(self, families: Mapping[str, Family], figures: Figures) -> None:
        self._families, self._figures = families, figures

    def collect(self) -> Iterator[Metric]:
        """Called by the library."""
        shown = [item for item in self._figures.items() if self._families[item[0][1]].shown]
        series = sorted(shown, key=lambda item: item[0][1:])
        for name, group in groupby(series, key=lambda item: item[0][1]):
            yield _metric(name, self._families[name], [(key[2], value) for key, value in group])


def write(families: Mapping[str, Family], figures: Figures) -> bytes:
    """The text.

    Args:
        families: the instruments by name.
        figures: the series; of each the family is known.
    """
    return generate_latest(_Figures(families, figures))


def _metric(name: str, family: Family, series: list[tuple[tuple[str, ...], Any]]) -> Metric:
    if family.kind == HISTOGRAM:
        return _histogram(name, family, series)
    if family.kind == COUNTERS:
        return _counters(name, family, series)
    kind = CounterMetricFamily if family.kind == COUNTER else GaugeMetricFamily
    metric = kind(name, family.text, labels=family.labels)
    for labels, value in series:
        metric.add_metric(labels, value / family.unit)
    return metric


def _counters(name: str, family: Family, series: list[tuple[tuple[str, ...], Any]]) -> Metric:
    metric = CounterMetricFamily(name, family.text, labels=(*family.labels, family.part))
    for labels, values in series:
        for part, value in zip(family.parts, values, strict=True):
            metric.add_metric((*labels, part), value / family.unit)
    return metric


def _histogram(name: str, family: Family, series: list[tuple[tuple[str, ...], Any]]) -> Metric:
    metric = HistogramMetricFamily(name, family.text, labels=family.labels)
    bounds = [*(str(float(bound)) for bound in family.bounds), "+Inf"]
    for labels, (*counts, total) in series:
        metric.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)
    return metric
