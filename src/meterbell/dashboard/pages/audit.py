"""The audit log: who changed what, when, and from where. For admins."""

from dataclasses import dataclass

import msgspec

from meterbell.dashboard.lists import Listed, list_page
from meterbell.dashboard.visit import Nav, Page, Route, Visit, url_of
from meterbell.records import AuditEntry

_PAGES = {
    "alrt": "/alerts/",
    "cus": "/customers/",
    "dlv": "/deliveries/",
    "ed": "/webhooks/",
    "mtr": "/meters/",
    "nc": "/channels/",
    "we": "/webhooks/",
}
"""Where objects are shown, by the prefix of their ids."""


@dataclass(frozen=True, slots=True)
class Line:
    """One change; `details` as indented JSON, empty if there are none."""

    at_ms: int
    actor: str
    action: str
    mode: str
    object: str
    href: str
    details: str
    address: str


@dataclass(frozen=True, slots=True)
class AuditView:
    """One page of the log, newest first."""

    lines: list[Line]
    newer: str
    older: str


async def _view(visit: Visit) -> AuditView:
    found: Listed[AuditEntry] = list_page(visit, AuditEntry, [])
    return AuditView([_line(entry) for entry in found.items], found.newer, found.older)


def _line(entry: AuditEntry) -> Line:
    prefix = (entry.object or "").partition("_")[0]
    href = ""
    if entry.object and prefix in _PAGES and entry.livemode is not None:
        href = url_of(_PAGES[prefix] + entry.object, livemode=entry.livemode)
    details = msgspec.json.format(msgspec.json.encode(entry.details), indent=2).decode()
    return Line(
        at_ms=entry.at_ms,
        actor=entry.actor,
        action=entry.action,
        mode={True: "live", False: "test", None: ""}[entry.livemode],
        object=entry.object or "",
        href=href,
        details=details if entry.details else "",
        address=entry.address,
    )


ROUTES: list[Route] = [
    Page(
        path="/audit",
        template="audit.html",
        view=_view,
        role="admin",
        nav=Nav("Audit log", "scroll-text"),
        is_live=True,
    )
]
