"""What a part hands back: figures for JSON, tables for the terminal, charts for the documents."""

from typing import Any, Literal

from msgspec import Struct, field

from bench.verify import Verified


class Table(Struct, kw_only=True):
    """Rows of text under headings."""

    title: str
    headings: list[str]
    rows: list[list[str]]


class Series(Struct, kw_only=True):
    """A line or a set of bars in a chart."""

    name: str
    x: list[Any]
    y: list[float]


class Chart(Struct, kw_only=True):
    """A chart with labelled axes.

    Attributes:
        name: End of its file's name; empty for a part's only chart.
    """

    kind: Literal["bars", "lines"]
    title: str
    x_label: str
    y_label: str
    series: list[Series]
    name: str = ""
    log_x: bool = False
    log_y: bool = False


class Outcome(Struct, kw_only=True):
    """The result of one part.

    Attributes:
        figures: The medians that the documents quote.
        rounds: Everything that was measured, round by round.
        verified: One entry a server that was recounted.
        notes: What the figures leave out, such as a baseline that is not installed.
    """

    name: str
    figures: dict[str, Any]
    tables: list[Table]
    charts: list[Chart] = field(default_factory=list)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    verified: list[Verified] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
