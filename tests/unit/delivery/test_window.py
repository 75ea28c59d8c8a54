"""What is on its way to a listener. Rule D1: nothing missing, nothing twice once acknowledged."""

import random  # noqa: TID251 - each seed is a test

import pytest

from meterbell.delivery.window import (
    FIRST_HOLD_SECONDS,
    HOLD_SECONDS,
    MISSES_MAX,
    SLOTS,
    Window,
)

TYPE = "customer.created"


def add(window: Window, *numbers: int) -> None:
    for number in numbers:
        assert window.add(number, TYPE, [f"w{number}"]) == [f"w{number}"]


def test_d1_the_cursor_stops_before_what_is_missing() -> None:
    window = Window(10, expects_answers=False)
    add(window, 11, 12, 15)

    assert window.acknowledge("w12", now=0)
    assert (window.cursor, window.done) == (10, ["w12"])
    assert window.acknowledge("w11", now=0)
    assert (window.cursor, window.done) == (14, [])
    assert window.acknowledge("w15", now=0)
    window.skip(19)
    assert (window.cursor, window.done, window.is_waiting) == (19, [], False)


def test_d1_a_listener_that_comes_back_gets_only_what_it_has_no_word_of() -> None:
    window = Window(0, expects_answers=False)
    for number in (1, 2, 3):
        window.add(number, TYPE, [f"w{number}", f"w{number}v"])
    for key in ("w2", "w3", "w3v"):
        window.acknowledge(key, now=0)

    again = Window(window.cursor, done=window.done, expects_answers=False)
    sent = [key for n in (1, 2, 3, 4) for key in again.add(n, TYPE, [f"w{n}", f"w{n}v"])]

    assert sent == ["w1", "w1v", "w2v", "w4", "w4v"]


def test_an_acknowledgement_of_nothing_changes_nothing() -> None:
    window = Window(0, expects_answers=False)
    add(window, 1)

    assert not window.acknowledge("w9", now=0)
    assert window.acknowledge("w1", now=0)
    assert not window.acknowledge("w1", now=0)
    window.answer("w9")


def test_no_more_than_a_few_are_in_flight() -> None:
    window = Window(0, expects_answers=False)
    add(window, *range(1, SLOTS + 1))

    assert window.room(now=1e9) == 0, "time frees nothing that is not acknowledged"
    assert window.room_at() is None
    window.acknowledge("w3", now=0)
    assert window.room(now=0) == 1


def test_a_local_server_at_work_keeps_the_slot_until_it_answers() -> None:
    window = Window(0, expects_answers=True)
    add(window, 1, 2)
    window.acknowledge("w1", now=0)
    window.acknowledge("w2", now=0)
    assert window.room(now=0) == SLOTS - 2
    assert window.cursor == 2

    window.answer("w1")
    assert window.room(now=0) == SLOTS - 1
    assert window.room_at() == FIRST_HOLD_SECONDS
    assert window.room(now=FIRST_HOLD_SECONDS) == SLOTS

    add(window, 3)
    window.acknowledge("w3", now=10)
    assert window.room_at() == 10 + HOLD_SECONDS, "its type is known to be answered"


def test_types_that_are_never_answered_hold_nothing_up() -> None:
    window = Window(0, expects_answers=True)
    for number in range(1, MISSES_MAX + 1):
        add(window, number)
        window.acknowledge(f"w{number}", now=0)
    assert window.room(now=FIRST_HOLD_SECONDS) == SLOTS
    add(window, 100)
    window.acknowledge("w100", now=5)
    assert window.room(now=5) == SLOTS, "the listener holds this type back, it seems"

    window.answer(f"w{MISSES_MAX}")  # late, but an answer
    add(window, 101)
    window.acknowledge("w101", now=5)

    assert window.room(now=5) == SLOTS - 1


@pytest.mark.parametrize("seed", range(20))
def test_d1_whatever_the_order_each_event_gets_through_once(seed: int) -> None:
    """Connections break anywhere; what was acknowledged is never sent again, the rest always."""
    chance = random.Random(seed)
    cursor, done, seen = 0, list[str](), list[str]()
    while cursor < 60:
        window = Window(cursor, done=done, expects_answers=False)
        in_flight: list[str] = []
        for _ in range(chance.randrange(40)):
            if window.room(now=0) and window.scanned < 60 and chance.random() < 0.6:
                number = window.scanned + 1
                in_flight += window.add(number, TYPE, [f"w{number}", f"w{number}v"])
            elif in_flight:
                key = in_flight.pop(chance.randrange(len(in_flight)))
                assert window.acknowledge(key, now=0)
                seen.append(key)
        cursor, done = window.cursor, window.done

    assert sorted(seen) == sorted(f"w{n}{end}" for n in range(1, 61) for end in ("", "v"))
