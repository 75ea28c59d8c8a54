"""The pages of the section Events."""

from dataclasses import dataclass

from meterbell.dashboard.visit import Visit

_EVENT_PAGES = (
    ("Meter events", "/events"),
    ("Events", "/events/told"),
    ("Thin events", "/events/thin"),
)


@dataclass(frozen=True, slots=True)
class Tab:
    """One of a section's pages, or a filter of one page."""

    label: str
    href: str
    is_here: bool


def event_tabs(visit: Visit, here: str) -> list[Tab]:
    """Return the pages about events, the one with a path marked."""
    return [Tab(label, visit.url(path), path == here) for label, path in _EVENT_PAGES]
