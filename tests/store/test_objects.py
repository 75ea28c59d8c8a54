"""Plain reads and writes of control objects, and the pages of lists."""

import pytest

from meterbell.errors import StoreFailedError
from meterbell.records import Customer, Delivery, Event
from meterbell.store import tables
from meterbell.store.base import Store
from tests.builders import NOW
from tests.store.entries import make_delivery, make_event


@pytest.fixture
def five(store: Store) -> Store:
    """Return a store with events evt_1 to evt_5 in test mode and one in live mode."""
    with store.transaction():
        for name in "123":
            store.writer.insert(make_event(name))
        store.writer.insert(make_event("live", livemode=True))
        for name in "45":
            store.writer.insert(make_event(name))
    return store


def test_a_row_comes_back_as_it_was_with_its_number(store: Store) -> None:
    event = make_event("a")
    with store.transaction():
        number = store.writer.insert(event)

    found = store.reader.get(Event, "evt_a", livemode=False)

    assert found is not None
    assert (found.number, found.data, found.livemode) == (number, event.data, False)


def test_an_object_is_not_found_in_the_other_mode(five: Store) -> None:
    assert five.reader.get(Event, "evt_1", livemode=True) is None
    assert five.reader.number_of(Event, "evt_1", livemode=True) is None
    assert five.reader.get(Event, "evt_live", livemode=True) is not None


@pytest.mark.parametrize(
    ("cursor", "limit", "expected", "more"),
    [
        ({}, 2, ["5", "4"], True),
        ({}, 5, ["5", "4", "3", "2", "1"], False),
        ({"after": "4"}, 2, ["3", "2"], True),
        ({"after": "2"}, 2, ["1"], False),
        ({"after": "1"}, 2, [], False),
        ({"before": "2"}, 2, ["4", "3"], True),
        ({"before": "3"}, 2, ["5", "4"], False),
        ({"before": "5"}, 2, [], False),
    ],
)
def test_a_page_is_newest_first_in_both_directions(
    five: Store, cursor: dict[str, str], limit: int, expected: list[str], *, more: bool
) -> None:
    numbers = {
        name: five.reader.number_of(Event, f"evt_{value}", livemode=False)
        for name, value in cursor.items()
    }

    page = five.reader.page(Event, [tables.event.c.livemode == 0], limit=limit, **numbers)

    assert [event.id for event in page.items] == [f"evt_{name}" for name in expected]
    assert page.has_more is more


def test_update_and_delete_say_how_many_they_changed(five: Store) -> None:
    column = tables.event.c
    with five.transaction():
        assert five.writer.update(Event, column.id == "evt_2", data={"object": {}}) == 1
        assert five.writer.update(Event, column.id == "evt_none", deliveries=1) == 0
        assert five.writer.delete(Event, column.id.in_(["evt_1", "evt_3"])) == 2

    assert [event.id for event in five.reader.find(Event, column.livemode == 0)] == [
        "evt_2",
        "evt_4",
        "evt_5",
    ]
    changed = five.reader.get(Event, "evt_2", livemode=False)
    assert changed is not None
    assert changed.data == {"object": {}}


def test_customers_come_in_the_order_in_which_they_were_stored(store: Store) -> None:
    with store.transaction():
        for livemode, name, deleted in ((False, "a", False), (True, "a", False), (True, "b", True)):
            store.writer.insert(
                Customer(
                    id=f"cus_{name}",
                    livemode=livemode,
                    created=NOW,
                    deleted=deleted,
                    email=None,
                    details={},
                )
            )

    ids, live, gone = store.read_customers()
    assert ids == ["cus_a", "cus_a", "cus_b"]
    assert live.tolist() == [False, True, True]
    assert gone.tolist() == [False, False, True]


def test_there_may_be_no_customers(store: Store) -> None:
    ids, live, deleted = store.read_customers()

    assert (ids, live.tolist(), deleted.tolist()) == ([], [], [])


def test_customers_that_were_removed_by_hand_are_missed(store: Store) -> None:
    with store.transaction():
        for name in "ab":
            store.writer.insert(
                Customer(
                    id=name, livemode=False, created=NOW, deleted=False, email=None, details={}
                )
            )
        store.writer.delete(Customer, tables.customer.c.id == "a")

    with pytest.raises(StoreFailedError, match="holds 1 customers, but numbered up to 2"):
        store.read_customers()


def test_facts_about_the_installation_can_be_set_again(store: Store) -> None:
    with store.transaction():
        store.writer.set_meta("a", "1")
        store.writer.set_meta("a", "2")

    assert store.reader.get_meta("a") == "2"
    assert store.reader.get_meta("b") is None


def test_d1_an_event_goes_to_an_endpoint_in_one_delivery_only(store: Store) -> None:
    with store.transaction():
        store.writer.insert(make_delivery("evt_1", next_attempt_at_ms=None))
        assert store.reader.find(Delivery) == []

    found = store.reader.find(Delivery)

    assert [(d.event, d.next_attempt_at_ms) for d in found] == [("evt_1", None)]
