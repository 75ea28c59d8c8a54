"""The random sequences really hold what is hard: a test of the tests against the reference."""

from collections import Counter as Tally
from collections.abc import Iterator

from hypothesis import given, settings

from tests.hypothesis_profiles import load_profile
from tests.reference.entries import Cancel, NewStatus, Usage
from tests.reference.model import Reference, RefMeter, counting
from tests.unit.engine.operations import (
    Operation,
    World,
    resolve,
    sequences,
    worlds,
)
from tests.unit.engine.playing import play_on_reference

load_profile()

# At least this many of 150 sequences must hold the situation.
EXPECTED = {
    "a trigger": 50,
    "a trigger of an alert with earlier usage": 20,
    "a trigger above zero baseline by evaluation on create": 10,
    "a trigger at exactly the threshold": 20,
    "a trigger that another usage fell below": 20,
    "a cancelled event that counted": 30,
    "a cancelled event from before an alert": 15,
    "a cancelled event that made the total rise": 5,
    "a cancelled value of last after an alert": 15,
    "a trigger after reactivation below an earlier peak": 5,
    "a triggered alert above its threshold after reactivation": 5,
    "an event replaced in its window": 20,
    "a late event": 40,
    "a refused operation": 75,
    "two triggers at one event": 10,
}


@settings(max_examples=150, derandomize=True)
@given(world=worlds, drawn=sequences)
def play(tally: Tally[str], world: World, drawn: list[Operation]) -> None:
    operations = resolve(world, drawn)
    reference, outcomes = play_on_reference(world, operations)
    tally.update(
        {*_situations(reference)} | ({"a refused operation"} if None in outcomes else set())
    )


def test_random_sequences_hold_the_hard_situations() -> None:
    tally: Tally[str] = Tally()

    play(tally)

    too_few = {name: tally[name] for name, least in EXPECTED.items() if tally[name] < least}
    assert not too_few, dict(tally)


def _situations(reference: Reference) -> Iterator[str]:
    yield from _triggers(reference)
    for entry in reference.log:
        if isinstance(entry, Cancel):
            yield from _cancellation(reference, entry)
        elif isinstance(entry, Usage):
            meter = reference.meters[entry.livemode, entry.meter]
            if entry.timestamp < entry.received_at - 3600:
                yield "a late event"
            events = reference.surviving(meter, entry.customer, entry.position)
            if len(counting(meter, events)) < len(events):
                yield "an event replaced in its window"


def _triggers(reference: Reference) -> Iterator[str]:
    positions: set[int] = set()
    for fired in reference.triggers():
        yield "a trigger"
        if fired.position in positions:
            yield "two triggers at one event"
        positions.add(fired.position)
        alert = next(a for a in reference.alerts() if a.alert == fired.alert)
        meter = reference.meters[False, alert.meter]
        if alert.position == fired.position:
            yield "a trigger above zero baseline by evaluation on create"
        if fired.value == alert.gte:
            yield "a trigger at exactly the threshold"
        if not alert.lifetime and reference.surviving(meter, fired.customer, alert.position):
            yield "a trigger of an alert with earlier usage"
        usages = [
            reference.usage(alert, fired.customer, at) for at in range(1, len(reference.log) + 1)
        ]
        if min(usages[fired.position :], default=alert.gte) < alert.gte:
            yield "a trigger that another usage fell below"
        if any(
            usages[later.position - 1] >= alert.gte
            for entry in reference.log[fired.position :]
            if isinstance(entry, NewStatus)
            and (entry.alert, entry.status) == (alert.alert, "active")
            for later in reference.surviving(meter, fired.customer, len(reference.log))
            if later.position > entry.position
        ):
            yield "a triggered alert above its threshold after reactivation"
        was_inactive = [e for e in reference.log[: fired.position] if _deactivates(e, fired.alert)]
        if was_inactive and max(usages[: fired.position - 1]) >= alert.gte:
            yield "a trigger after reactivation below an earlier peak"


def _deactivates(entry: object, alert: str) -> bool:
    return isinstance(entry, NewStatus) and (entry.alert, entry.status) == (alert, "inactive")


def _cancellation(reference: Reference, entry: Cancel) -> Iterator[str]:
    event = reference.log[entry.target - 1]
    assert isinstance(event, Usage)
    meter: RefMeter = reference.meters[event.livemode, event.meter]
    events = reference.surviving(meter, event.customer, entry.position - 1)
    if event in counting(meter, events):
        yield "a cancelled event that counted"
    alerts = [alert for alert in reference.alerts() if alert.meter == event.meter]
    if meter.formula == "last" and any(a.position < event.position for a in alerts):
        yield "a cancelled value of last after an alert"
    if event.value < 0:
        yield "a cancelled event that made the total rise"
    if any(event.position < alert.position < entry.position for alert in alerts):
        yield "a cancelled event from before an alert"
