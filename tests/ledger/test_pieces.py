"""What a piece of a checkpoint holds is what the counter table held. Rules C3, C8."""

import numpy as np
import pytest

from meterbell.engine import table
from meterbell.engine.counter import ALWAYS, NEVER, Baseline, Bucket, Counted, Counter, Detail
from meterbell.engine.state import State
from meterbell.ids import AlertId, CustomerId
from meterbell.ledger.pieces import decode_piece, encode_piece, is_readable, load_piece
from tests.builders import all_counters, make_meter

HUGE = 10**40 + 7
COUNTED = Counted(1_700_000_000, 12, -HUGE)
RICH = Counter(
    total=HUGE,
    next_fire=ALWAYS,
    armed=3,
    hour=472_224,
    value=-HUGE,
    events=3,
    head=17,
    detail=Detail(
        newest=COUNTED,
        newest_in_hour=COUNTED,
        buckets={472_222: Bucket(HUGE, 4, COUNTED, 12), 472_223: Bucket(-5, 1, None, 9)},
        slots={7: COUNTED},
        baselines={AlertId("alrt_1"): Baseline(5, -HUGE, COUNTED)},
        watch=(AlertId("alrt_1"), AlertId("alrt_0")),
        triggered=frozenset({AlertId("alrt_2"), AlertId("alrt_3")}),
        peak=HUGE + 1,
    ),
)
POOR = Counter(
    total=-(10**12) - 1, next_fire=NEVER, armed=9, hour=472_224, value=5, events=1, head=20
)


def new_state() -> State:
    state = State()
    for meter in (make_meter(), make_meter("other"), make_meter(livemode=True)):
        state.put_meter(meter)
    return state


@pytest.mark.parametrize("kept", [[0, 1, 2], [0, 2], [2]])
def test_c3_counters_survive_a_checkpoint_whatever_their_size(
    monkeypatch: pytest.MonkeyPatch, kept: list[int]
) -> None:
    monkeypatch.setattr(table, "BLOCK", 4)
    state = new_state()
    for number in range(11):
        for meter in (make_meter("other"), make_meter(), make_meter(livemode=True))[number % 3 :]:
            counter = RICH if number % 2 else POOR
            state.put_counter(meter.id, CustomerId(f"cus_ü{number}"), counter)
    pieces = {block: encode_piece(state, block) for block in kept}

    again = new_state()
    again.add_customers([CustomerId(f"cus_ü{n}") for n in range(5)], livemode=True)
    for block, data in pieces.items():
        assert is_readable(data)
        assert not is_readable(data[:-1])
        load_piece(again, block, decode_piece(data), sequence=20, names={})

    restored = all_counters(again)
    assert (
        len(restored)
        == len(again.table)
        == sum(len(decode_piece(data).customers) for data in pieces.values())
    )
    assert restored.items() <= all_counters(state).items()
    if len(kept) == 3:
        assert len(restored) == 12
    assert not again.table.changed.any()
    for block, data in pieces.items():
        once_more = decode_piece(encode_piece(again, block))
        assert sorted(once_more.customers) == sorted(decode_piece(data).customers)


def test_counters_made_after_a_gap_do_not_fill_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "BLOCK", 4)
    state = new_state()
    for number in range(9):
        state.put_counter(make_meter().id, CustomerId(f"cus_{number}"), POOR)
    last = encode_piece(state, 2)
    again = new_state()
    load_piece(again, 2, decode_piece(last), sequence=20, names={})

    again.put_counter(make_meter().id, CustomerId("cus_0"), RICH)

    assert all_counters(again) == {
        (make_meter().id, "cus_8"): POOR,
        (make_meter().id, "cus_0"): RICH,
    }
    assert len(again.table) == 2
    assert np.flatnonzero(again.table.changed).tolist() == [2]
    assert decode_piece(encode_piece(again, 0)).customers == []
