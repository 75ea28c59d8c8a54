"""Links of which one is here: the pages of a section, and the filters of a page."""

from collections.abc import Sequence
from dataclasses import dataclass

from meterbell.dashboard.visit import Visit


@dataclass(frozen=True, slots=True)
class Tab:
    """One of a section's pages, or one of several views of a page."""

    label: str
    href: str
    is_here: bool


def section_tabs(visit: Visit, pages: Sequence[tuple[str, str]], here: str) -> list[Tab]:
    """Return a section's pages, given by label and path, the one with a path marked."""
    return [Tab(label, visit.url(path), path == here) for label, path in pages]


def event_tabs(visit: Visit, here: str) -> list[Tab]:
    """Return the pages about events, the one with a path marked."""
    pages = (
        ("Meter events", "/events"),
        ("Events", "/events/told"),
        ("Thin events", "/events/thin"),
    )
    return section_tabs(visit, pages, here)


def filter_tabs(visit: Visit, name: str, choices: Sequence[tuple[str, str]]) -> list[Tab]:
    """Return what a list can be narrowed to by a parameter: its values, with labels.

    The links keep the other parameters, and lead to the list's beginning.
    """
    here = visit.typed(name)
    return [
        Tab(label, visit.here(**{name: key}, after=None, before=None), key == here)
        for key, label in choices
    ]
