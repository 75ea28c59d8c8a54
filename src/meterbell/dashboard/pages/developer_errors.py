"""Developers: what the v2 stream could not count, as the thin events about it tell."""

import asyncio
from dataclasses import dataclass
from typing import Any

from meterbell.dashboard.lists import PAGE_ITEMS, Listed, cursors, listed
from meterbell.dashboard.pages.developers import SECTION, tabs
from meterbell.dashboard.tabs import Tab
from meterbell.dashboard.visit import Page, Route, Visit
from meterbell.engine.model import RefusalReason
from meterbell.ids import MeterId
from meterbell.records import ThinEvent
from meterbell.store.objects import Page as StorePage
from meterbell.store.tables import thin_event

_PATH = f"{SECTION}/errors"
TYPES = ("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found")
_HINTS: dict[RefusalReason, str] = {
    "archived_meter": "The meter is inactive: reactivate it, or stop reporting to it.",
    "duplicate_meter_event": "Counted before under the same identifier: nothing is lost.",
    "meter_event_customer_not_found": "Create the customer first, or correct its id.",
    "meter_event_invalid_value": "Send the value as a plain decimal, such as 5 or 0.25.",
    "meter_event_no_customer_defined": "Put the customer into the payload.",
    "meter_event_value_not_found": "Put the value into the payload.",
    "meter_event_value_too_many_digits": "Send at most 15 digits before the point and 12 after it.",
    "no_meter": "Create a meter with this event name, or correct the name.",
    "timestamp_in_future": "Send the time of the usage; check the sender's clock.",
    "timestamp_too_far_in_past": "Report usage within 35 days.",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One of the meter events in question."""

    message: str
    identifier: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some meter events were not counted, with a few of them."""

    code: str
    hint: str
    count: int
    samples: list[Sample]


@dataclass(frozen=True, slots=True)
class Report:
    """What was not counted in one window; `meter` is empty where there was none."""

    id: str
    at_ms: int
    count: int
    meter: str
    meter_id: str
    reasons: list[Reason]


@dataclass(frozen=True, slots=True)
class ErrorsView:
    """One page of reports, newest first."""

    tabs: list[Tab]
    reports: list[Report]
    newer: str
    older: str


async def _view(visit: Visit) -> ErrorsView:
    found: Listed[ThinEvent] = listed(visit, await asyncio.to_thread(_read, visit))
    reports = [_report(visit, event) for event in found.items]
    return ErrorsView(tabs(visit, _PATH), reports, found.newer, found.older)


def _read(visit: Visit) -> StorePage:
    """Return a page of the events; all others may have to be passed, so this runs in a thread."""
    after, before = cursors(visit)
    where = [thin_event.c.livemode == visit.livemode, thin_event.c.type.in_(TYPES)]
    with visit.services.store.reading() as objects:
        return objects.page(ThinEvent, where, limit=PAGE_ITEMS, after=after, before=before)


def _report(visit: Visit, event: ThinEvent) -> Report:
    reason = event.data["reason"]
    meter = visit.services.state.meters.get(MeterId(event.object_id or ""))
    return Report(
        id=event.id,
        at_ms=event.created_ms,
        count=reason["error_count"],
        meter=meter.display_name if meter else "",
        meter_id=event.object_id or "",
        reasons=[_reason(found) for found in reason["error_types"]],
    )


def _reason(found: dict[str, Any]) -> Reason:
    return Reason(
        code=found["code"],
        hint=_HINTS[found["code"]],
        count=found["error_count"],
        samples=[
            Sample(sample["error_message"], sample["request"]["identifier"])
            for sample in found["sample_errors"]
        ],
    )


ROUTES: list[Route] = [
    Page(
        path=_PATH,
        template="developer_errors.html",
        view=_view,
        section=SECTION,
        is_live=True,
    )
]
