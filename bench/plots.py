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
_WHOLE = 100


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
    axes.set_title(chart.title)
    if len(chart.series) > 1:
        axes.legend()
    figure.savefig(path, metadata={"Date": None})


def _bars(axes: Axes, chart: Chart) -> None:
    """Draw bars that lie, so that there is room for their names; the length is the figure."""
    series = chart.series[0]
    found = axes.barh(
        [str(x) for x in series.x],
        series.y,
        color=[_COLOURS[number % len(_COLOURS)] for number in range(len(series.x))],
        height=0.6,
    )
    labels = [f"{y:,.0f}" if y >= _WHOLE else f"{y:.2f}" for y in series.y]
    axes.bar_label(found, labels=labels, padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(chart.y_label)
    axes.set_ylabel(chart.x_label)


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
    if not chart.log_y:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    axes.grid(visible=True, alpha=0.3)
