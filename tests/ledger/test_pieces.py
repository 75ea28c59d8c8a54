"""What a piece of a checkpoint holds is what the counter table held. Rules C3, C8."""

import numpy as np
import pytest

from meterbell.engine import table
from meterbell.engine.counter import ALWAYS, NEVER, Baseline, Bucket, Counted, Counter, Detail
from meterbell.engine.state import State
from meterbell.ids import AlertId, CustomerId
from meterbell.ledger.pieces import Piece, encode_piece, load_piece, read_piece
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


def with_customers_of(state: State) -> State:
    """Return a state that knows the same meters and customers, and has no counters."""
    again = new_state()
    live = np.zeros(len(state.customer_ids), dtype=np.bool_)
    live[list(state.customers[True].values())] = True
    again.load_customers(list(state.customer_ids), live, np.zeros_like(live))
    assert again.customers == state.customers
    return again


def decoded(data: bytes) -> Piece:
    """Return a piece that can be read."""
    piece = read_piece(data)
    assert piece is not None
    return piece


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

    again = with_customers_of(state)
    for block, data in pieces.items():
        assert read_piece(data[:-1]) is None
        load_piece(again, block, decoded(data), sequence=20, names={})

    restored = all_counters(again)
    assert (
        len(restored)
        == len(again.table)
        == sum(len(decoded(data).who) // 16 for data in pieces.values())
    )
    assert restored.items() <= all_counters(state).items()
    if len(kept) == 3:
        assert len(restored) == 12
    assert not again.table.changed.any()
    for block, data in pieces.items():
        assert encode_piece(again, block) == data


def test_counters_made_after_a_gap_do_not_fill_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "BLOCK", 4)
    state = new_state()
    for number in range(9):
        state.put_counter(make_meter().id, CustomerId(f"cus_{number}"), POOR)
    last = encode_piece(state, 2)
    again = with_customers_of(state)
    load_piece(again, 2, decoded(last), sequence=20, names={})

    again.put_counter(make_meter().id, CustomerId("cus_0"), RICH)

    assert all_counters(again) == {
        (make_meter().id, "cus_8"): POOR,
        (make_meter().id, "cus_0"): RICH,
    }
    assert len(again.table) == 2
    assert np.flatnonzero(again.table.changed).tolist() == [2]
    assert decoded(encode_piece(again, 0)).who == b""
