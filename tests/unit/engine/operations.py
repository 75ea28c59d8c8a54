"""Random sequences of operations, and playing one on the engine and on the reference.

A sequence is drawn as small symbolic operations ("cancel the third latest identifier") and then
resolved into plain ones, so that both sides get the very same and a shrunk example stays sensible.
The pools are small on purpose: few customers, hours, identifiers and thresholds make exact hits,
falling totals and changes around a crossing frequent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import assert_never

from hypothesis import strategies as st

from meterbell.engine.model import AlertStatus, EventTimeWindow, Formula, MeterStatus
from meterbell.engine.state import Limits
from meterbell.errors import RequestError
from meterbell.ids import AlertId
from tests.builders import DAY, HOUR, NOW, EngineRun, make_alert, make_meter, make_request
from tests.reference.model import Reference, RefMeter

CUSTOMERS = ("cus_a", "cus_b", "cus_c")
START = NOW + DAY - HOUR - 600
"""Ten minutes before an hour begins, and seventy before a day does."""

_ALERTS_PER_SCOPE = 3


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
            st.sampled_from(["sum", "sum", "count", "last"]),
            st.sampled_from([None, None, "hour", "day"]),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    auto_create_customers=st.booleans(),
)


@st.composite
def _changes_around_a_crossing(draw: st.DrawFn) -> list[Operation]:
    """Return an alert that is off while usage passes its threshold, and on again later."""
    meter, customer = draw(_meters), draw(st.sampled_from(["cus_a", "cus_b"]))
    create = replace(draw(_creates), meter=meter, evaluate=False)
    rise = Report(meter, customer, str(create.gte + draw(st.sampled_from([0, 1]))), 0)
    after = draw(st.sampled_from(["0", "1", "-1", "-2", "-0.5"]))
    return [
        *draw(st.lists(_reports, max_size=2)),
        create,
        SetStatus(0, "inactive"),
        rise,
        *draw(st.lists(_cancels | _reports, max_size=1)),
        SetStatus(0, "active"),
        *draw(st.lists(_cancels | _reports, max_size=1)),
        Report(meter, customer, after, draw(st.sampled_from([0, 1, -600]))),
    ]


_chunks = st.sampled_from(
    [_operations.map(lambda operation: [operation])] * 24 + [_changes_around_a_crossing()]
).flatmap(lambda chosen: chosen)
sequences = st.one_of(
    *(st.lists(_chunks, min_size=size, max_size=50) for size in (5, 15, 25, 35))
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


def new_engine(world: World) -> EngineRun:
    """Return an engine with the world's meters; the first has a twin in live mode."""
    meters = [
        make_meter(f"m{index}", formula=formula, window=window)
        for index, (formula, window) in enumerate(world.meters)
    ]
    formula, window = world.meters[0]
    return EngineRun(
        *meters,
        make_meter("m0", formula=formula, window=window, livemode=True),
        customers=CUSTOMERS,
        limits=Limits(
            alerts_per_scope=_ALERTS_PER_SCOPE, auto_create_customers=world.auto_create_customers
        ),
        now=START,
    )


def new_reference(world: World) -> Reference:
    """Return a reference with the same meters."""
    meters = [
        RefMeter(f"m{index}", livemode=False, formula=formula, window=window)
        for index, (formula, window) in enumerate(world.meters)
    ]
    formula, window = world.meters[0]
    reference = Reference(
        [*meters, RefMeter("m0", livemode=True, formula=formula, window=window)],
        customers=CUSTOMERS,
        auto_create_customers=world.auto_create_customers,
        alerts_per_scope=_ALERTS_PER_SCOPE,
    )
    reference.now = START
    return reference


def play_on_engine(
    world: World, operations: Sequence[Operation], *, cut: int
) -> tuple[EngineRun, list[int | None]]:
    """Return the engine after all operations, and the place each got or None for refused.

    Args:
        world: The meters.
        operations: Resolved.
        cut: Bit i says whether a group ends after operation i.
    """
    run = new_engine(world)
    outcomes: list[int | None] = []
    for index, operation in enumerate(operations):
        outcomes.append(_apply(run, operation))
        if cut >> index & 1:
            run.merge()
    run.merge()
    return run, outcomes


def _apply(run: EngineRun, operation: Operation) -> int | None:
    before = len(run.group.entries)
    accepted: int | None = None
    try:
        match operation:
            case Report():
                accepted = run.record(
                    make_request(
                        operation.value,
                        customer=operation.customer,
                        meter=f"m{operation.meter}",
                        identifier=operation.identifier,
                        timestamp=operation.at,
                        request_key=operation.request[0].encode(),
                        request_digest=operation.request[1].encode(),
                        livemode=operation.livemode,
                    )
                ).event.sequence
            case Cancel():
                run.group.cancel(
                    livemode=operation.livemode,
                    event_name=f"m{operation.meter}",
                    identifier=operation.identifier,
                )
            case Create():
                alert = make_alert(
                    operation.alert,
                    meter=f"m{operation.meter}",
                    customer=operation.customer,
                    gte=operation.gte,
                    baseline="lifetime" if operation.lifetime else "creation",
                )
                run.create(alert, evaluate=operation.evaluate)
            case SetStatus():
                if AlertId(f"alrt_{operation.alert}") in run.state.alerts:
                    run.set_status(operation.alert, operation.status)
            case SetMeter():
                meter = run.state.meters_by_event_name[False, f"m{operation.meter}"]
                status: MeterStatus = "active" if operation.active else "inactive"
                run.state.put_meter(replace(meter, status=status))
            case Advance():
                run.merge()
                run.advance(operation.seconds - run.now_ms // 1000)
                return None
            case _:
                assert_never(operation)
    except RequestError:
        assert len(run.group.entries) == before, "a refused operation left an entry"
        return None
    if accepted is None and len(run.group.entries) > before:
        accepted = run.group.entries[-1].sequence
    return accepted


def play_on_reference(
    world: World, operations: Sequence[Operation]
) -> tuple[Reference, list[int | None]]:
    """Return the reference after all operations, and the place each got or None for refused."""
    reference = new_reference(world)
    return reference, [_apply_to_reference(reference, operation) for operation in operations]


def _apply_to_reference(reference: Reference, operation: Operation) -> int | None:
    match operation:
        case Report():
            return reference.report(
                livemode=operation.livemode,
                event_name=f"m{operation.meter}",
                customer=operation.customer,
                value=operation.value,
                identifier=operation.identifier,
                timestamp=operation.at,
                request_key=operation.request[0],
                request_digest=operation.request[1],
            )
        case Cancel():
            return reference.cancel(
                livemode=operation.livemode,
                event_name=f"m{operation.meter}",
                identifier=operation.identifier,
            )
        case Create():
            return reference.create_alert(
                operation.alert,
                meter=f"m{operation.meter}",
                customer=operation.customer,
                gte=operation.gte,
                lifetime=operation.lifetime,
                evaluate=operation.evaluate,
            )
        case SetStatus():
            return reference.set_status(operation.alert, operation.status)
        case SetMeter():
            reference.meters[False, f"m{operation.meter}"].active = operation.active
        case Advance():
            reference.now = operation.seconds
        case _:
            assert_never(operation)
    return None


def scaled(value: Decimal) -> int:
    """Return an exact decimal in units of 10^-12."""
    numerator, denominator = value.as_integer_ratio()
    assert 10**12 % denominator == 0
    return numerator * (10**12 // denominator)
