"""What `/metrics` and `/readyz` tell."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from meterbell.engine.decide import Group
from meterbell.engine.model import EventRow, EventRun, Refusal, Trigger
from meterbell.engine.state import State
from meterbell.errors import DuplicateIdentifierError, UsageRefusedError
from meterbell.ids import CustomerId
from meterbell.ledger.committer import Committed
from meterbell.metrics import READ, Metrics
from tests.builders import make_alert, make_meter

PAGE = Path("docs/operations.md")


def samples(metrics: Metrics) -> dict[str, float]:
    """Return all samples by name and labels."""
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def committed() -> Committed:
    group = Group(State(), lambda _: None, now_ms=0)
    meter = make_meter()
    row = EventRow(meter.id, CustomerId("cus_a"), "id", 0, "1", 0)
    group.entries.append(EventRun.of(1, 0, [row, row, row]))
    group.triggers.append(Trigger(make_alert(), CustomerId("cus_a"), 1, 1))
    for reason in ("no_meter", "duplicate_meter_event"):
        group.refusals.append(Refusal(False, reason, None, "x", None, "No."))  # noqa: FBT003
    outcomes = [
        None,
        UsageRefusedError("No.", reason="archived_meter"),
        DuplicateIdentifierError("No."),
    ]
    return Committed(group, outcomes, 2_000_000, 30_000_000)


def test_a_group_is_counted_by_outcome_and_reason() -> None:
    metrics = Metrics()

    metrics.group_committed(committed())

    found = samples(metrics)
    assert found["meterbell_meter_events_total accepted"] == 3
    assert found["meterbell_meter_events_total duplicate"] == 2
    assert found["meterbell_meter_events_total refused"] == 2
    assert found["meterbell_meter_events_refused_total no_meter"] == 1
    assert found["meterbell_meter_events_refused_total archived_meter"] == 1
    assert found["meterbell_triggers_total"] == 1
    assert found["meterbell_commit_events_sum"] == 3
    assert found["meterbell_commit_seconds_sum decide"] == 0.002
    assert found["meterbell_commit_seconds_sum store"] == 0.03


def test_attempts_are_counted_and_first_ones_timed() -> None:
    metrics = Metrics()

    metrics.attempt_ended("status_500", 1, 15)
    metrics.attempt_ended("succeeded", 2, 60_000)

    found = samples(metrics)
    assert found["meterbell_delivery_attempts_total status_500"] == 1
    assert found["meterbell_delivery_attempts_total succeeded"] == 1
    assert found["meterbell_delivery_seconds_count"] == 1
    assert found["meterbell_delivery_seconds_sum"] == 0.015


def test_what_is_read_is_read_when_somebody_asks() -> None:
    metrics = Metrics()
    readings = dict.fromkeys(READ, 1.0)
    metrics.read_from(lambda: readings)
    readings["meterbell_queue_depth"] = 7.0

    found = samples(metrics)

    assert found["meterbell_queue_depth"] == 7
    assert found["meterbell_queue_refused_total"] == 1


def test_every_metric_is_documented_and_no_other() -> None:
    metrics = Metrics()
    metrics.read_from(lambda: dict.fromkeys(READ, 0.0))
    families = text_string_to_metric_families(metrics.render().decode())
    own = [family for family in families if family.name.startswith("meterbell_")]
    known = {(family.name, family.type, family.documentation) for family in own}

    table = re.findall(
        r"^\| `(meterbell_\w+)` \| (\w+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE
    )

    assert set(table) == known
