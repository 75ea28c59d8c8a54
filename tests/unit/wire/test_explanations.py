"""Explanations in words, one for each outcome."""

from dataclasses import replace
from typing import get_args

import pytest

from meterbell.engine.explain import Explanation, Outcome
from meterbell.engine.model import MeterEvent
from meterbell.engine.value import SCALE
from meterbell.ids import CustomerId
from meterbell.records import TriggerRecord
from meterbell.wire.explanations import Explained, Fired, grouped, render_explanation, sentence
from tests.builders import NOW, make_alert, make_meter

NOTHING_KNOWN = {"customer_unknown", "other_customer", "archived"}


def make_explanation(
    outcome: Outcome, *, usage: int | None = 1_500, not_counted: int | None = 0
) -> Explanation:
    known = outcome not in NOTHING_KNOWN
    return Explanation(
        alert=make_alert(gte=80_000, customer="cus_b" if outcome == "other_customer" else None),
        meter=make_meter(),
        customer=CustomerId("cus_a"),
        outcome=outcome,
        usage=usage * SCALE if known and usage is not None else None,
        not_counted=not_counted * SCALE if known and not_counted is not None else None,
    )


def words(outcome: Outcome, since_ms: int | None = None, **more: int) -> str:
    explanation = make_explanation(outcome, **more)
    return sentence(Explained(explanation=explanation, fired=None, since_ms=since_ms))


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_every_outcome_has_words(outcome: Outcome) -> None:
    text = words(outcome)

    assert text[0].isupper()
    assert text.endswith(".")
    assert "  " not in text
    assert ("1,500 of 80,000" in text) == (outcome not in {*NOTHING_KNOWN, "triggered"})


def test_what_is_missing_and_what_does_not_count_are_told() -> None:
    assert words("below", not_counted=2_000) == (
        "Usage is at 1,500 of 80,000, 78,500 to go. 2,000 from before the alert was created does "
        "not count."
    )
    assert words("due", usage=80_000) == (
        "Usage is at 80,000 of 80,000. It triggers at the customer's next usage."
    )


def test_since_when_it_is_switched_off_is_told_where_it_is_known() -> None:
    since_ms = NOW * 1000 + 999

    assert words("inactive", since_ms, usage=90_000) == (
        "The alert is deactivated since 2026-01-01 00:00:00 UTC and never triggers. Usage is at "
        "90,000 of 80,000. Activated, it triggers at the customer's next usage."
    )
    assert "is inactive since 2026-01-01 00:00:00 UTC and" in words("meter_inactive", since_ms)
    assert "is inactive and" in words("meter_inactive")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (66_300 * SCALE + SCALE // 2, "66,300.5"), (-1_000 * SCALE, "-1,000"),
     (-1, "-0.000000000001"), (10**30, "1,000,000,000,000,000,000")],
)  # fmt: skip
def test_c3_numbers_for_people_keep_every_digit(value: int, text: str) -> None:
    assert grouped(value) == text


RECORD = TriggerRecord(
    alert="alrt_alert",
    customer="cus_a",
    window="lifetime",
    value="80000.5",
    sequence=7,
    created_ms=NOW * 1000,
    event="evt_1",
)
METER_EVENT = MeterEvent(
    sequence=7,
    livemode=False,
    meter=make_meter().id,
    customer=CustomerId("cus_a"),
    identifier="id_7",
    timestamp=NOW - 5,
    value=SCALE,
    payload={},
    previous=0,
    received_at_ms=NOW * 1000,
    request_key=b"",
    request_digest=b"",
)


def fired(meter_event: MeterEvent | None, *, cancelled: bool = False) -> Explained:
    trigger = Fired(record=RECORD, meter_event=meter_event, cancelled=cancelled, deliveries=[])
    return Explained(explanation=make_explanation("triggered"), fired=trigger, since_ms=None)


def test_a_trigger_is_told_with_what_caused_it() -> None:
    begin = "Triggered at 80,000.5 on 2026-01-01 00:00:00 UTC, "
    at_creation = fired(None)
    alert = replace(at_creation.explanation.alert, created_sequence=7)
    at_creation = replace(at_creation, explanation=replace(at_creation.explanation, alert=alert))

    assert sentence(fired(METER_EVENT)) == begin + "by the meter event id_7."
    assert sentence(fired(None)) == begin + "by a meter event that is not kept any more."
    assert sentence(at_creation).startswith(begin + "as it was created")
    assert sentence(fired(METER_EVENT, cancelled=True)).endswith("what triggered stays.")
    assert words("triggered") == "It has triggered."


def test_decimals_are_rendered_exactly_and_nothing_as_null() -> None:
    shown = render_explanation(fired(None))
    unknown = render_explanation(
        Explained(explanation=make_explanation("archived"), fired=None, since_ms=None)
    )

    assert shown["trigger"] == {
        "created": NOW,
        "deliveries": [],
        "event": "evt_1",
        "meter_event": None,
        "sequence": 7,
        "value_decimal": "80000.5",
    }
    assert (shown["usage"], shown["remaining"], shown["gte"]) == ("1500", "78500", 80_000)
    assert (unknown["usage"], unknown["remaining"], unknown["not_counted"]) == (None, None, None)
