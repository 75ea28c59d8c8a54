"""What a path names, found in the visit's mode or told to be missing."""

from typing import TypeVar

from meterbell.dashboard.visit import Visit
from meterbell.errors import NotFoundError
from meterbell.records import Event, ThinEvent

R = TypeVar("R")


def find_named(visit: Visit, record: type[R], noun: str) -> R:
    """Return the object that the path names.

    Raises:
        NotFoundError: There is none in this mode.
    """
    named = visit.ids["id"]
    found = visit.services.store.reader.get(record, named, livemode=visit.livemode)
    if found is None:
        raise NotFoundError(f"There is no {noun} {named[:100]} in this mode.")
    return found


def find_event(visit: Visit, event_id: str) -> Event | ThinEvent | None:
    """Return an event with an id, of either kind; None if there is none in this mode."""
    objects, livemode = visit.services.store.reader, visit.livemode
    thick = objects.get(Event, event_id, livemode=livemode)
    return thick or objects.get(ThinEvent, event_id, livemode=livemode)
