"""Dry runs as JSON."""

from meterbell.engine.dry_run import Candidate, Crossing, DryRun, StepCount
from meterbell.engine.value import SCALE
from meterbell.ids import CustomerId
from meterbell.wire.dry_runs import render_dry_run
from tests.builders import NOW, make_meter


def test_decimals_are_exact_and_what_was_not_found_is_null() -> None:
    ada, bob = CustomerId("cus_ada"), CustomerId("cus_bob")
    crossing = Crossing(7, 10 * SCALE + 1, "id_7", NOW - 5, NOW * 1000 + 999)
    found = DryRun(
        meter=make_meter(),
        customer=ada,
        gte=10,
        start=NOW,
        end=NOW + 60,
        complete=False,
        customers=3,
        count=2,
        fired=[Candidate(ada, 12 * SCALE, crossing), Candidate(bob, 11 * SCALE)],
        near=[Candidate(bob, SCALE // 2)],
        shares=[1, *[0] * 9],
        steps=[StepCount(NOW, NOW + 60, 2)],
        steps_end=NOW + 60,
    )

    shown = render_dry_run(found)

    assert [item["usage"] for item in shown["triggered"]] == ["12", "11"]
    assert shown["triggered"][0]["meter_event"] == {
        "created": NOW,
        "identifier": "id_7",
        "sequence": 7,
        "timestamp": NOW - 5,
        "value_decimal": "10.000000000001",
    }
    assert shown["triggered"][1]["meter_event"] is None
    assert shown["nearest"] == [{"customer": "cus_bob", "usage": "0.5"}]
    assert shown["shares"][0] == {"below_percent": 10, "customers": 1}
    assert shown["usage_threshold"]["filters"] == [{"type": "customer", "customer": "cus_ada"}]
    assert (shown["complete"], shown["triggered_count"]) == (False, 2)
