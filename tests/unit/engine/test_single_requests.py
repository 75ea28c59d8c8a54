"""Single meter events that are decided together get what each would get alone (C2, C8).

How many come at once decides whether they are counted column by column or one by one.
"""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from meterbell.engine.decide import Recorded
from meterbell.engine.model import UsageRequest
from meterbell.engine.stream import record_requests
from meterbell.errors import RequestError
from tests.builders import HOUR, NOW, EngineRun, all_counters, make_alert, make_meter, make_request
from tests.hypothesis_profiles import load_profile, part_of_examples

load_profile()


@st.composite
def requests(draw: st.DrawFn) -> UsageRequest:
    """Draw a usage request: mostly one that counts, often one that was seen before."""
    key = draw(st.sampled_from([b""] * 40 + [b"key-1", b"key-2", b"key-3"]))
    request = make_request(
        draw(st.sampled_from(["1", "2.5", "40", "-3", "x", None])),
        customer=draw(st.sampled_from(["cus_a", "cus_a", "cus_b", "cus_nobody", None])),
        meter=draw(st.sampled_from(["requests", "requests", "peak", "nothing"])),
        identifier=draw(st.sampled_from([None, None, None, "id-1", "id-2", "id-3", "id-4"])),
        timestamp=draw(st.sampled_from([None, None, NOW - HOUR, NOW - 40 * 24 * HOUR])),
        request_key=key,
        request_digest=draw(st.sampled_from([b"same", b"same", b"other"])) if key else b"",
    )
    if draw(st.integers(0, 5)) == 0:
        request.payload["region"] = "eu"
    return request


_FEW = st.lists(requests(), min_size=1, max_size=8)
_MANY = st.lists(requests(), min_size=24, max_size=48)


def _new_run() -> EngineRun:
    run = EngineRun(make_meter(), make_meter("peak", formula="last"))
    run.create(make_alert("fifty", gte=50))
    return run


def _told(outcome: Recorded | RequestError) -> object:
    if isinstance(outcome, RequestError):
        return type(outcome), outcome.message, outcome.param, outcome.code
    return outcome


def _together(run: EngineRun, group: Sequence[UsageRequest], names: list[str]) -> list[object]:
    return [_told(outcome) for outcome in record_requests(run.group, group, names, run.values)]


def _one_by_one(run: EngineRun, group: Sequence[UsageRequest], names: list[str]) -> list[object]:
    return [
        _together(run, [request], [name])[0] for request, name in zip(group, names, strict=True)
    ]


@part_of_examples(2)
@given(groups=st.lists(_FEW | _MANY, min_size=1, max_size=3))
def test_c2_requests_that_wait_together_are_answered_as_if_each_came_alone(
    groups: list[list[UsageRequest]],
) -> None:
    at_once, singly = _new_run(), _new_run()

    for number, group in enumerate(groups):
        names = [f"generated-{number}-{place}" for place in range(len(group))]
        told = _together(at_once, group, names)

        assert told == _one_by_one(singly, group, names)
        at_once.merge()
        singly.merge()

    assert at_once.log == singly.log
    assert at_once.fired == singly.fired
    assert all_counters(at_once.state) == all_counters(singly.state)


def test_c2_the_second_of_two_with_one_idempotency_key_gets_the_answer_of_the_first() -> None:
    run = _new_run()
    twin = make_request("7", request_key=b"key", request_digest=b"same")
    others = [make_request("1", identifier=f"id-{number}") for number in range(40)]
    group = [*others[:20], twin, *others[20:], twin]

    outcomes = record_requests(run.group, group, [f"new-{at}" for at in range(42)], run.values)

    first, second = outcomes[20], outcomes[-1]
    assert isinstance(first, Recorded)
    assert isinstance(second, Recorded)
    assert second == Recorded(first.event, replayed=True)
    assert run.total() == "47"
