"""Charts as SVG, in colours that colour-blind readers tell apart, with markers besides."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.outcome import Chart

# The palette of Okabe and Ito, darkest contrasts first.
_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
_MARKERS = ["o", "s", "^", "D", "v", "P"]
_SIZE = (8, 4.5)


def draw(chart: Chart, path: Path) -> None:
    """Write a chart to a file."""
    # Text stays text, and the same figures give the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench"})
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes: Axes = figure.subplots()
    if chart.kind == "bars":
        _bars(axes, chart)
    else:
        _lines(axes, chart)
    if chart.limit is not None:
        axes.axhline(chart.limit, color="black", linestyle="--", linewidth=1)
    axes.set_title(chart.title)
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    if not chart.log_y:
        axes.set_ylim(bottom=0)
    if len(chart.series) > 1:
        axes.legend()
    figure.savefig(path, metadata={"Date": None})


def _bars(axes: Axes, chart: Chart) -> None:
    series = chart.series[0]
    found = axes.bar(
        [str(x) for x in series.x],
        series.y,
        color=[_COLOURS[number % len(_COLOURS)] for number in range(len(series.x))],
        width=0.6,
    )
    axes.bar_label(found, labels=[f"{y:,.0f}" if y >= 100 else f"{y:.2f}" for y in series.y])  # noqa: PLR2004 - rounding
    axes.tick_params(axis="x", labelsize="small")
    for label in axes.get_xticklabels():
        label.set_wrap(True)
    if chart.log_y:
        axes.set_yscale("log")


def _lines(axes: Axes, chart: Chart) -> None:
    for number, series in enumerate(chart.series):
        axes.plot(
            series.x,
            series.y,
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            label=series.name,
        )
    if chart.log_x:
        axes.set_xscale("log")
    if chart.log_y:
        axes.set_yscale("log")
    axes.grid(visible=True, alpha=0.3)
