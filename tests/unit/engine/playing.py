"""Playing a sequence of operations on the engine and on the reference."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import assert_never

from meterbell.engine.model import DefaultPayload, EventRun, MeterStatus, StreamUsage
from meterbell.engine.state import Limits
from meterbell.engine.stream import record_batches
from meterbell.errors import RequestError
from meterbell.ids import AlertId, CustomerId
from tests.builders import EngineRun, make_alert, make_meter, make_request, stream_batch
from tests.reference.model import Reference, RefMeter
from tests.unit.engine.operations import (
    CUSTOMERS,
    START,
    Advance,
    Cancel,
    Create,
    Operation,
    Report,
    SetMeter,
    SetStatus,
    World,
)

_ALERTS_PER_SCOPE = 3


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
    world: World,
    operations: Sequence[Operation],
    *,
    cut: int,
    stores: int = 0,
    streams: bool = False,
) -> tuple[EngineRun, list[int | None]]:
    """Return the engine after all operations, and the place each got or None for refused.

    Args:
        world: The meters.
        operations: Resolved.
        cut: Bit i says whether a group ends after operation i.
        stores: Bit i says whether closed hours are put away with that group.
        streams: Whether usage goes through streams where it can: neighbours in one batch.
    """
    run = new_engine(world)
    outcomes: list[int | None] = []
    batch: list[Report] = []
    for index, operation in enumerate(operations):
        if batch and not _fits_stream(operation, batch):
            outcomes += _stream(run, batch)
            batch.clear()
        if streams and _fits_stream(operation, batch):
            assert isinstance(operation, Report)
            batch.append(operation)
        else:
            outcomes.append(_apply(run, operation))
        if cut >> index & 1:
            outcomes += _stream(run, batch)
            batch.clear()
            run.merge()
            if stores >> index & 1:
                run.store_hours()
    outcomes += _stream(run, batch)
    run.merge()
    return run, outcomes


def _fits_stream(operation: Operation, batch: Sequence[Report]) -> bool:
    """Return whether an operation is usage that a stream can carry, in the batch so far."""
    return (
        isinstance(operation, Report)
        and operation.customer is not None
        and operation.request == ("", "")
        and all(other.livemode == operation.livemode for other in batch)
        and all(other.identifier != operation.identifier for other in batch)
    )


def _stream(run: EngineRun, batch: Sequence[Report]) -> list[int | None]:
    """Count a batch as a stream does; return the place of each event, None for refused."""
    if not batch:
        return []
    events = [
        StreamUsage(
            event_name=f"m{report.meter}",
            payload=DefaultPayload(CustomerId(report.customer or ""), report.value),
            identifier=report.identifier,
            timestamp=None if report.at is None else datetime.fromtimestamp(report.at, UTC),
        )
        for report in batch
    ]
    first, refused = run.state.sequence + 1, len(run.group.refusals)
    identifiers = [report.identifier for report in batch]
    stream = stream_batch(batch[0].livemode, events, identifiers)
    record_batches(run.group, [stream], run.values)
    rows = [
        row
        for entry in run.group.entries
        if isinstance(entry, EventRun)
        for sequence, row in enumerate(entry.rows(), entry.sequence)
        if sequence >= first
    ]
    assert len(rows) + len(run.group.refusals) - refused == len(batch)
    places = {row[2]: first + offset for offset, row in enumerate(rows)}
    return [places.get(identifier) for identifier in identifiers]


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
