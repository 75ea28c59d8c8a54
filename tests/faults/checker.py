"""An outside check of what a server left on disk, from its log alone and by the rules' own words.

It reads the database with the standard library, unpacks rows with the libraries of their formats,
shares no code with meterbell, and walks the log once. It knows `sum` meters without time windows.
"""

import json
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact
from pathlib import Path

import msgspec
import zstandard

_EXACT = Context(prec=200, traps=[Inexact])


@dataclass
class WatchedAlert:
    """An alert as the log tells of it."""

    meter: str
    customer: str | None
    gte: int
    active: bool
    usage: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    fired: dict[str, tuple[str, int]] = field(default_factory=dict)


@dataclass
class Findings:
    """What the log says must be true.

    Attributes:
        identifiers: How often each identifier was counted; once each is right.
        totals: Usage by meter and customer.
        triggers: (alert, customer, value, sequence) of each trigger that must exist.
        recorded: The same, as the server recorded it.
        told: Event ids by trigger, from the events the server stored.
    """

    identifiers: dict[str, int]
    totals: dict[tuple[str, str], Decimal]
    triggers: set[tuple[str, str, str, int]]
    recorded: list[tuple[str, str, str, int]]
    told: dict[tuple[str, str], list[str]]


def check(database: Path) -> Findings:
    """Return what the log of an ended server says."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        walk = _Walk()
        for sequence, events, kind, data in connection.execute(
            "SELECT sequence, events, kind, data FROM log ORDER BY sequence"
        ):
            walk.take(sequence, events, kind, data)
        told: dict[tuple[str, str], list[str]] = defaultdict(list)
        for event_id, data in connection.execute(
            "SELECT id, data FROM event WHERE type = 'billing.alert.triggered' ORDER BY number"
        ):
            fact = json.loads(data)["object"]
            told[fact["alert"]["id"], fact["customer"]].append(event_id)
        recorded = [
            tuple(row)
            for row in connection.execute("SELECT alert, customer, value, sequence FROM trigger")
        ]
    finally:
        connection.close()
    return Findings(
        identifiers=dict(walk.identifiers),
        totals=dict(walk.totals),
        triggers={
            (name, customer, value, sequence)
            for name, alert in walk.alerts.items()
            for customer, (value, sequence) in alert.fired.items()
        },
        recorded=recorded,
        told=dict(told),
    )


def _unpacked(data: bytes) -> bytes:
    if data[:4] != zstandard.FRAME_HEADER:
        return data
    return zstandard.ZstdDecompressor().decompress(data)


class _Walk:
    """One walk over the log in commit order."""

    def __init__(self) -> None:
        self.identifiers: dict[str, int] = defaultdict(int)
        self.totals: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.alerts: dict[str, WatchedAlert] = {}
        self._events: dict[int, tuple[str, str, Decimal]] = {}
        self._born: dict[str, int] = {}
        self._sequence = 0

    def take(self, sequence: int, events: int, kind: int, data: bytes) -> None:
        """Take in one row of the log."""
        assert sequence == self._sequence + 1, "the log has a gap"
        if kind == 1:
            names, places, customers, identifiers, _, texts, *_ = msgspec.msgpack.decode(
                _unpacked(data)
            )
            meters = [names[place] for place in places]
            assert len(meters) == events
            for meter, customer, identifier, text in zip(
                meters, customers, identifiers, texts, strict=True
            ):
                self._sequence += 1
                value = Decimal(text)
                self.identifiers[identifier] += 1
                self._events[self._sequence] = (meter, customer, value)
                self._add(meter, customer, value, since=self._sequence)
                self._evaluate(meter, customer)
            return
        self._sequence += 1
        if kind == 2:
            cancelled = msgspec.msgpack.decode(data)
            gone_meter, gone_customer, value = self._events[cancelled]
            self._add(gone_meter, gone_customer, -value, since=cancelled)
        else:
            alert, _evaluated = json.loads(data)
            known = self.alerts.get(alert["id"])
            if known is None:
                self._born[alert["id"]] = self._sequence
                known = WatchedAlert(alert["meter"], alert["customer"], alert["gte"], active=True)
                self.alerts[alert["id"]] = known
            known.active = alert["status"] == "active"

    def _watching(self, meter: str, customer: str) -> list[tuple[str, WatchedAlert]]:
        return [
            (name, alert)
            for name, alert in self.alerts.items()
            if alert.meter == meter and alert.customer in (None, customer)
        ]

    def _add(self, meter: str, customer: str, value: Decimal, *, since: int) -> None:
        """Move the total, and the usage of the alerts made before the event itself."""
        key = (meter, customer)
        self.totals[key] = _EXACT.add(self.totals[key], value)
        for name, alert in self._watching(meter, customer):
            if self._born[name] < since:
                alert.usage[customer] = _EXACT.add(alert.usage[customer], value)

    def _evaluate(self, meter: str, customer: str) -> None:
        for _, alert in self._watching(meter, customer):
            usage = alert.usage[customer]
            if alert.active and customer not in alert.fired and usage >= alert.gte:
                text = format(usage.normalize(_EXACT), "f")
                alert.fired[customer] = (text, self._sequence)
