"""The log: what is appended comes back, in commit order. Transactions are all or nothing."""

from dataclasses import replace

import pytest

from meterbell.engine.model import AlertChange, Cancellation, EventRun, LogEntry, Meter
from meterbell.engine.tail import UsageRun
from meterbell.engine.value import SCALE
from meterbell.errors import InvalidParamError
from meterbell.records import Event
from meterbell.store.base import Store
from meterbell.store.objects import table_of
from tests.builders import NOW, make_alert, make_meter
from tests.store.conftest import OpenStore
from tests.store.entries import add_meter, make_entry, make_event


def test_an_empty_log_ends_at_zero(store: Store) -> None:
    assert store.last_sequence() == 0
    assert list(store.read_log(0)) == []
    assert list(store.read_control(100)) == []
    assert store.first_sequence_since(0) == 1


def test_c1_every_kind_of_entry_comes_back_after_the_store_is_opened_again(
    open_store: OpenStore,
) -> None:
    store = open_store()
    add_meter(store)
    alert = replace(make_alert(gte=2**62), created_sequence=3)
    entries: list[LogEntry] = [
        make_entry(
            1,
            value="-123456789012345.123456789012",
            identifier="Straße ☃ \x00 '\"",
            rest={"region": "é"},
            request_key=b"\x00key",
            request_digest=b"\xffdigest",
        ),
        make_entry(2, previous=1),
        AlertChange(3, alert, evaluated=True, received_at_ms=NOW * 1000 + 1),
        Cancellation(4, 2, NOW * 1000 + 2),
    ]
    with store.transaction():
        store.append(entries)

    again = open_store()

    assert list(again.read_log(0)) == entries
    assert list(again.read_log(2)) == entries[2:]
    assert list(again.read_control(4)) == entries[2:]
    assert list(again.read_control(3)) == entries[2:3]
    found = again.find_event(1)
    assert found is not None
    assert (found.sequence, found.identifier, found.value) == (
        1,
        "Straße ☃ \x00 '\"",
        -123456789012345123456789012,
    )
    assert found.payload == {
        "stripe_customer_id": "cus_a",
        "value": "-123456789012345.123456789012",
        "region": "é",
    }
    assert again.find_event(3) is again.find_event(5) is None
    assert again.last_sequence() == 4


def test_a_count_meter_needs_no_value_in_the_payload(store: Store) -> None:
    meter = add_meter(store, make_meter(formula="count"))
    with store.transaction():
        store.append([make_entry(1, meter=meter, value=None)])

    found = store.find_event(1)
    assert found is not None
    assert (found.payload, found.value) == ({"stripe_customer_id": "cus_a"}, SCALE)


def test_a_long_run_is_stored_in_parts_and_read_from_any_place(store: Store) -> None:
    add_meter(store)
    rows = [make_entry(n).row(0) for n in range(1, 1701)]
    with store.transaction():
        store.append([EventRun.of(1, NOW * 1000, rows), make_entry(1701)])

    for after in (0, 1, 499, 500, 501, 1699, 1700, 1701, 5000):
        read = list(store.read_log(after))
        identifiers = [n for run in read if isinstance(run, EventRun) for n in run.identifiers]
        assert identifiers == [f"identifier_{n}" for n in range(after + 1, 1702)]
        assert [run.sequence for run in read][:1] == [after + 1][: len(read)]
    for sequence in (1, 500, 501, 1700, 1701):
        found = store.find_event(sequence)
        assert found is not None
        assert found.identifier == f"identifier_{sequence}"
    assert store.find_event(1702) is None
    assert store.last_sequence() == 1701


def test_both_modes_share_one_commit_order(store: Store) -> None:
    test, live = make_meter(), make_meter(livemode=True)
    add_meter(store, test)
    add_meter(store, live)
    entries = [make_entry(1, meter=live), make_entry(2, meter=test)]
    with store.transaction():
        store.append(entries)

    assert list(store.read_log(0)) == entries


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    add_meter(store)

    with pytest.raises(InvalidParamError), store.transaction():
        store.append([make_entry(1)])
        store.writer.insert(make_event("lost"))
        raise InvalidParamError("no")

    assert store.last_sequence() == 0
    assert store.reader.number_of(Event, "evt_lost", livemode=False) is None
    with store.transaction():
        store.append([make_entry(1)])
    assert store.last_sequence() == 1


def test_a_savepoint_that_raises_undoes_its_own_part_only(store: Store) -> None:
    with store.transaction():
        store.writer.insert(make_event("before"))
        with pytest.raises(InvalidParamError), store.savepoint():
            store.writer.insert(make_event("inside"))
            raise InvalidParamError("no")
        with store.savepoint():
            store.writer.insert(make_event("kept"))
        store.writer.insert(make_event("after"))

    assert [e.id for e in store.reader.find(Event)] == ["evt_before", "evt_kept", "evt_after"]


def test_readers_see_nothing_before_the_commit(store: Store) -> None:
    add_meter(store)

    with store.transaction():
        store.append([make_entry(1)])
        store.writer.insert(make_event("open"))
        assert store.writer.count(Event) == 1
        assert store.reader.count(Event) == 0
        assert store.last_sequence() == 0

    assert store.reader.count(Event) == 1
    assert store.last_sequence() == 1


def test_the_first_entry_since_an_instant_is_found_by_halves(store: Store) -> None:
    add_meter(store)
    with store.transaction():
        store.append([make_entry(n, received_at_ms=n // 3 * 1000) for n in range(1, 50)])

    for instant in range(-500, 18_000, 250):
        expected = next((n for n in range(1, 50) if n // 3 * 1000 >= instant), 50)
        assert store.first_sequence_since(instant) == expected


def test_a_meter_keeps_its_identity_when_its_name_changes(store: Store) -> None:
    meter = add_meter(store)
    with store.transaction():
        store.append([make_entry(1)])
        store.writer.update(
            Meter,
            table_of(Meter).c.id == meter.id,
            display_name="New",
            status="inactive",
            deactivated_at=NOW,
        )

    found = store.reader.get(Meter, meter.id, livemode=False)

    assert found == replace(meter, display_name="New", status="inactive", deactivated_at=NOW)
    event = store.find_event(1)
    assert event is not None
    assert event.meter == meter.id


def test_the_log_is_trimmed_from_its_left_a_few_rows_at_a_time(open_store: OpenStore) -> None:
    store = open_store()
    add_meter(store)
    alert = replace(make_alert(), created_sequence=3)
    entries: list[LogEntry] = [
        make_entry(1),
        make_entry(2),
        AlertChange(3, alert, evaluated=False, received_at_ms=NOW * 1000),
        Cancellation(4, 1, NOW * 1000),
        make_entry(5),
        make_entry(6),
        Cancellation(7, 6, NOW * 1000),
    ]
    with store.transaction():
        store.append(entries)
    assert store.count_events(1) == 4

    dropped = []
    place = 0
    while True:
        with store.transaction():
            found = store.drop_log(after=place, before=6, rows_max=2)
        if found is None:
            break
        place = found[0]
        dropped.append(found)

    assert dropped == [(2, 2), (5, 1)]
    store = open_store()
    assert list(store.read_log(0)) == [entries[2], *entries[5:]]
    assert list(store.read_log(5)) == entries[5:]
    assert [bool(store.find_event(place)) for place in range(1, 8)] == [*[False] * 5, True, False]
    assert store.count_events(6) == 1
    assert store.last_sequence() == 7


def test_the_size_is_what_is_in_use(store: Store) -> None:
    add_meter(store)
    entries: list[LogEntry] = [make_entry(n, rest={"note": f"{n}" * 2000}) for n in range(1, 301)]
    empty = store.size_bytes()
    with store.transaction():
        store.append(entries)
    full = store.size_bytes()

    with store.transaction():
        store.drop_log(after=0, before=301, rows_max=1000)

    assert store.size_bytes() < (empty + full) // 2


def test_an_entry_begins_where_it_was_appended(store: Store) -> None:
    add_meter(store)
    run = EventRun.of(1, NOW * 1000, [make_entry(1).row(0), make_entry(2).row(0)])
    with store.transaction():
        store.append([run, make_entry(3)])

    assert [store.begin_of_entry(place) for place in (1, 2, 3, 4)] == [1, 3, 3, 4]


def test_a_view_reads_usage_and_passes_over_the_rest(store: Store) -> None:
    meter = add_meter(store)
    other = add_meter(store, make_meter("other"))
    alert = replace(make_alert(), created_sequence=4)
    named = [(1, meter), (2, other), (3, meter)]
    rows = [make_entry(place, value=str(place), meter=found).row(0) for place, found in named]
    run = EventRun.of(1, NOW * 1000, rows)
    change = AlertChange(4, alert, evaluated=False, received_at_ms=NOW * 1000)
    cancellation = Cancellation(5, 2, NOW * 1000 + 1)
    with store.transaction():
        store.append([run, change, cancellation, make_entry(6, previous=3)])

    with store.view_log() as view:
        entries, until = view.read_usage(1, rows_max=2)
        rest, end = view.read_usage(until, rows_max=9)

        assert until == 4
        (usage,) = entries
        assert isinstance(usage, UsageRun)
        assert (usage.sequence, list(usage.sequences), usage.values) == (2, [2, 3], ["2", "3"])
        assert [usage.names[which] for which in usage.which] == [other.id, meter.id]
        assert (rest[0], rest[1].sequence, end) == (cancellation, 6, 6)
        assert view.read_usage(6, rows_max=9) == ([], 6)
        assert view.read_cancellations(0, until=4) == []
        assert view.read_cancellations(4, until=9) == [cancellation]
        assert [event.sequence for event in view.walk_chain(meter, 6)] == [6, 3]
        assert list(view.walk_chain(meter, 99)) == []
        assert view.find_event(3) == store.find_event(3)
        assert view.find_event(4) is None
    assert (store.received_at_ms(4), store.received_at_ms(5)) == (NOW * 1000, NOW * 1000 + 1)
    assert store.received_at_ms(7) is None
