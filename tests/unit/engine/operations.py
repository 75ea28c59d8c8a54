"""Random sequences of operations.

A sequence is drawn as small symbolic operations ("cancel the third latest identifier") and then
resolved into plain ones, so that both sides get the very same and a shrunk example stays sensible.
The pools are small on purpose: few customers, hours, identifiers and thresholds make exact hits,
falling totals and changes around a crossing frequent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from hypothesis import strategies as st

from meterbell.engine.model import AlertStatus, EventTimeWindow, Formula
from tests.builders import DAY, HOUR, NOW

CUSTOMERS = ("cus_a", "cus_b", "cus_c")
START = NOW + DAY - HOUR - 600
"""Ten minutes before an hour begins, and seventy before a day does."""


@dataclass(frozen=True, slots=True)
class World:
    """The meters by name (`m0`, `m1`…) and the one setting that refuses or accepts usage."""

    meters: tuple[tuple[Formula, EventTimeWindow | None], ...]
    auto_create_customers: bool


@dataclass(frozen=True, slots=True)
class Report:
    """Usage. `reuse` names an earlier identifier, counted back; None makes a fresh one.

    When drawn, `at` is seconds from the present; when resolved, Unix seconds.
    """

    meter: int
    customer: str | None
    value: str | None
    at: int | None
    reuse: int | None = None
    livemode: bool = False
    request: tuple[str, str] = ("", "")
    identifier: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take back the event of an earlier identifier, counted back."""

    meter: int | None
    back: int
    livemode: bool = False
    identifier: str = ""


@dataclass(frozen=True, slots=True)
class Create:
    """A new alert."""

    meter: int
    customer: str | None
    gte: int
    lifetime: bool
    evaluate: bool
    alert: str = ""


@dataclass(frozen=True, slots=True)
class SetStatus:
    """A change of an earlier alert, counted back."""

    back: int
    status: AlertStatus
    alert: str = ""


@dataclass(frozen=True, slots=True)
class SetMeter:
    """A meter is deactivated or reactivated."""

    meter: int
    active: bool


@dataclass(frozen=True, slots=True)
class Advance:
    """Time passes; when resolved, `seconds` is the new present."""

    seconds: int


Operation = Report | Cancel | Create | SetStatus | SetMeter | Advance


def _mostly(common: Sequence[object], rare: Sequence[object], *, weight: int) -> list[object]:
    return [*list(common) * weight, *rare]


_values = st.one_of(
    st.sampled_from(["1", "2", "3", "4", "5", "6"]),
    st.sampled_from(["1", "2", "3", "-1", "-3"]),
    st.sampled_from(["1", "2", "-2", "0.5", "2.5", "-0.5", "10", "-10", "0", "8"]),
    st.sampled_from(["0.000000000001", "0.999999999999", "4.999999999999", "-0.000000000001"]),
    st.decimals(min_value=-20, max_value=20, places=12).map(lambda value: f"{value:f}"),
    st.sampled_from(
        ["1", "999999999999999.999999999999", "-999999999999999", "1e3", "\u0661", None]
    ),
)
_times = st.one_of(
    st.none(),
    st.sampled_from([0, -1, -600, -1200, -2400, 299, -HOUR, -HOUR - 700]),
    st.sampled_from([-2 * HOUR, -5 * HOUR, -DAY, -DAY - 900, 300, 301, -35 * DAY, -35 * DAY - 1]),
)
_customers = st.sampled_from(_mostly(["cus_a", "cus_a", "cus_b"], ["cus_c"], weight=3))
_meters = st.sampled_from([0, 0, 0, 0, 1, 1, 2])

_reports = st.builds(Report, meter=_meters, customer=_customers, value=_values, at=_times)
_odd_reports = st.builds(
    Report,
    meter=_meters,
    customer=st.sampled_from(["cus_a", "cus_b", "cus_unknown", "", None]),
    value=_values,
    at=_times,
    reuse=st.none() | st.integers(min_value=0, max_value=8),
    livemode=st.booleans(),
    request=st.tuples(st.sampled_from(["", "key1", "key2"]), st.sampled_from(["d1", "d1", "d2"])),
)
_cancels = st.builds(
    Cancel,
    meter=st.sampled_from([None, None, None, None, 0]),
    back=st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4, 6, 9, 99]),
    livemode=st.sampled_from([False] * 9 + [True]),
)
_creates = st.builds(
    Create,
    meter=_meters,
    customer=st.sampled_from([None, None, "cus_a", "cus_b"]),
    gte=st.sampled_from([1, 2, 3, 4, 5, 6, 8, 10, 15]),
    lifetime=st.booleans(),
    evaluate=st.booleans(),
)
_statuses = st.builds(
    SetStatus,
    back=st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5]),
    status=st.sampled_from(
        ["inactive", "inactive", "inactive", "active", "active", "active", "archived"]
    ),
)
_meter_changes = st.builds(SetMeter, meter=_meters, active=st.sampled_from([False, True, True]))
_advances = st.builds(
    Advance,
    seconds=st.sampled_from(
        [1, 300, 1200, HOUR, 5 * HOUR, DAY, DAY + 1, 20 * DAY, 35 * DAY, 35 * DAY + 1]
    ),
)
_operations = st.sampled_from(
    [_reports] * 11
    + [_odd_reports] * 2
    + [_cancels] * 3
    + [_creates] * 3
    + [_statuses] * 3
    + [_meter_changes]
    + [_advances]
).flatmap(lambda chosen: chosen)

worlds = st.builds(
    World,
    meters=st.lists(
        st.tuples(
            st.sampled_from(["sum", "sum", "last", "last", "count"]),
            st.sampled_from([None, None, "hour", "day"]),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    auto_create_customers=st.booleans(),
)


@st.composite
def _changes_around_a_crossing(draw: st.DrawFn) -> list[Operation]:
    """Return an alert that is off while usage passes its threshold, and on again later.

    In half of them it had triggered before, so that it must not again.
    """
    meter, customer = draw(_meters), draw(st.sampled_from(["cus_a", "cus_b"]))
    create = replace(draw(_creates), meter=meter, evaluate=False)
    rise = Report(meter, customer, str(create.gte + draw(st.sampled_from([0, 1]))), 0)
    after = draw(st.sampled_from(["0", "1", "-1", "-2", "-0.5"]))
    return [
        *draw(st.lists(_reports, max_size=2)),
        create,
        *draw(st.sampled_from([[], [rise]])),
        SetStatus(0, "inactive"),
        rise,
        *draw(st.lists(_cancels | _reports, max_size=1)),
        SetStatus(0, "active"),
        *draw(st.lists(_cancels | _reports, max_size=1)),
        Report(meter, customer, after, draw(st.sampled_from([0, 1, -600]))),
    ]


@st.composite
def _corrections_around_an_alert(draw: st.DrawFn) -> list[Operation]:
    """Return usage of one counter before and after an alert's creation, some of it cancelled."""
    meter, customer = draw(_meters), draw(st.sampled_from(["cus_a", "cus_b"]))
    usage = st.builds(Report, st.just(meter), st.just(customer), _values, _times)
    create = replace(
        draw(_creates), meter=meter, lifetime=draw(st.sampled_from([False] * 3 + [True]))
    )
    cancel = st.builds(Cancel, st.none(), st.integers(min_value=0, max_value=4))
    return [
        *draw(st.lists(usage, min_size=1, max_size=3)),
        create,
        *draw(st.lists(usage, min_size=1, max_size=4)),
        *draw(st.lists(cancel, min_size=1, max_size=4)),
        *draw(st.lists(usage, min_size=1, max_size=2)),
    ]


_chunks = st.sampled_from(
    [_operations.map(lambda operation: [operation])] * 36
    + [_changes_around_a_crossing()] * 2
    + [_corrections_around_an_alert()] * 2
).flatmap(lambda chosen: chosen)
sequences = st.one_of(
    *(st.lists(_chunks, min_size=size, max_size=45) for size in (5, 15, 25, 30))
).map(lambda chunks: [operation for chunk in chunks for operation in chunk])
cuts = st.integers(min_value=0, max_value=2**60 - 1) | st.sampled_from([0, 2**60 - 1])
"""Bit i of a cut says whether a group ends after operation i."""


def resolve(world: World, drawn: Iterable[Operation]) -> list[Operation]:
    """Return the operations with all that is relative in them made absolute."""
    resolver = _Resolver(len(world.meters))
    return [resolver.resolve(operation) for operation in drawn]


class _Resolver:
    """What was named so far, so that operations can refer back to it."""

    def __init__(self, meters: int) -> None:
        self._meters = meters
        self._now = START
        self._identifiers: list[str] = []
        self._meter_of: dict[str, int] = {}
        self._alerts = 0

    def resolve(self, drawn: Operation) -> Operation:
        match drawn:
            case Report():
                meter = drawn.meter % self._meters
                identifier = self._identifier(drawn.reuse)
                self._meter_of[identifier] = meter
                at = None if drawn.at is None else self._now + drawn.at
                return replace(drawn, meter=meter, at=at, identifier=identifier)
            case Cancel():
                identifier = self._identifier(drawn.back)
                meter = self._meter_of.get(identifier, 0) if drawn.meter is None else drawn.meter
                return replace(drawn, meter=meter, identifier=identifier)
            case Create():
                self._alerts += 1
                return replace(drawn, meter=drawn.meter % self._meters, alert=f"{self._alerts}")
            case SetStatus():
                return replace(drawn, alert=f"{self._alerts - drawn.back}")
            case SetMeter():
                return replace(drawn, meter=drawn.meter % self._meters)
            case Advance():
                self._now += drawn.seconds
                return Advance(self._now)
            case _:
                assert_never(drawn)

    def _identifier(self, back: int | None) -> str:
        if back is None:
            self._identifiers.append(f"id{len(self._identifiers)}")
            return self._identifiers[-1]
        return self._identifiers[-1 - back] if back < len(self._identifiers) else "never_used"
