"""The plots of docs/benchmarks.md, from the figures of all sections; what was not measured is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import matplotlib as mpl
import matplotlib.pyplot as plt

from benchmarks.targets import TARGETS

_STYLE = Path(__file__).parent.parent / "docs/learn/plots/sigmax.mplstyle"

_Figures = Mapping[str, Sequence[float]]
_Curves = Mapping[str, Sequence[tuple[float, float]]]

_SPEEDS = {
    "gRPC raw, 1 row": "grpc_raw_1/bare grpc.aio",
    "gRPC raw, 32 rows": "grpc_raw_32/bare grpc.aio",
    "gRPC raw, 1,024 rows": "grpc_raw_1024/bare grpc.aio",
    "gRPC typed, 1 row": "grpc_typed_1/bare grpc.aio",
    "gRPC PredictClasses, 1 row": "grpc_classes_1/bare grpc.aio",
    "REST JSON, 1 row": "rest_json_1/Starlette route",
    "REST JSON, 32 rows": "rest_json_32/Starlette route",
    "REST JSON, 1,024 rows": "rest_json_1024/Starlette route",
    "REST :classes, 1 row": "rest_classes_1/Starlette route",
    "REST :probabilities, 1 row": "rest_probabilities_1/Starlette route",
}
_OPEN = {
    "gRPC raw": ("grpc", "bare grpc.aio"),
    "REST JSON": ("rest", "Starlette route"),
}


def draw(folder: Path, figures: _Figures, curves: _Curves) -> list[tuple[str, str]]:
    """Draw what there are figures for.

    Returns:
        What is to be seen, and the file's path from beside the folder, a plot.
    """
    mpl.use("svg")
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    with plt.style.context(_STYLE):
        if any(name in figures for name in _SPEEDS.values()):
            drawn.append((_speeds(folder / "speeds.svg", figures), "speeds.svg"))
        if any(name.startswith("open:") for name in curves):
            drawn.append((_latencies(folder / "latencies.svg", curves), "latencies.svg"))
        plt.close("all")
    return [(caption, f"{folder.name}/{name}") for caption, name in drawn]


def _speeds(path: Path, figures: _Figures) -> str:
    limits = {target.figure: target.limit for target in TARGETS}
    names = [name for name, figure in _SPEEDS.items() if figure in figures][::-1]
    values = [figures[_SPEEDS[name]] for name in names]
    middles = [median(found) for found in values]
    below = [middle - min(found) for middle, found in zip(middles, values, strict=True)]
    above = [max(found) - middle for middle, found in zip(middles, values, strict=True)]
    figure, axes = plt.subplots(figsize=(6.4, 0.8 + 0.34 * len(names)))
    axes.barh(names, middles, xerr=[below, above], error_kw={"ecolor": "#666666", "elinewidth": 1.5})
    for place, name in enumerate(names):
        limit = limits.get(_SPEEDS[name])
        if limit is not None:
            axes.plot([limit, limit], [place - 0.45, place + 0.45], color="C1")
    axes.set(xlim=(0, None), xlabel="speed, of bare grpc.aio or a Starlette route")
    axes.grid(visible=False, axis="y")
    figure.savefig(path, metadata={"Date": None})
    return "Bars: Sigmax's speed at each door as a share of the bare server's, with the target as a stroke"


def _latencies(path: Path, curves: _Curves) -> str:
    figure, both = plt.subplots(1, 2, figsize=(6.4, 3.4), sharey=True)
    for axes, (title, (key, bare)) in zip(both, _OPEN.items(), strict=True):
        for colour, server in enumerate(("Sigmax", bare)):
            for share, line in ((50, "-"), (80, ":")):
                points = curves.get(f"open:{key}:{share}/{server}", ())
                if points:
                    xs, ys = zip(*points, strict=True)
                    label = f"{server.split()[0]}, {share} %"
                    axes.plot([1 / (1 - x) for x in xs], ys, line, color=f"C{colour}", label=label)
        axes.set(title=title, xscale="log", yscale="log")
        axes.set_xticks([2, 10, 100, 1000], ["p50", "p90", "p99", "p99.9"])
        axes.minorticks_off()
        axes.set(xlim=(1.8, None))
        axes.yaxis.set_major_formatter("{x:g}")
        if axes.lines:
            axes.legend(fontsize=10)
    both[0].set(ylabel="milliseconds")
    figure.savefig(path, metadata={"Date": None})
    return (
        "Two plots of latency by percentile at 50 and 80 % of each server's own capacity, gRPC and REST: "
        "Sigmax beside the bare server"
    )
