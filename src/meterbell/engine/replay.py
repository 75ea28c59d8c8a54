"""Runs of meter events from the log, taken in again: the hot path of a start."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from meterbell.engine.decide import Group
from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.growing import Numbers, look_up
from meterbell.engine.model import EventRun
from meterbell.engine.plain import NOT_ADDED, Usage, add_plain
from meterbell.engine.rows import value_of
from meterbell.engine.state import State, is_plain
from meterbell.engine.values import Values


def replay_runs(group: Group, runs: Sequence[EventRun], values: Values) -> None:
    """Take in runs that the log already holds, with the same effect they had at first.

    Args:
        group: Which they become a part of.
        runs: The log's next entries, at least one, without a gap.
        values: As in `record_batches`.
    """
    state = group.state
    first = runs[0].sequence
    assert first == state.sequence + 1, "the log has a gap"
    ids = list(chain.from_iterable(run.meters for run in runs))
    names = list(chain.from_iterable(run.customers for run in runs))
    texts = list(chain.from_iterable(run.values for run in runs))
    timestamps = list(chain.from_iterable(run.timestamps for run in runs))
    count = len(ids)
    meters = look_up(state.meter_numbers, ids)
    modes = np.array([state.meters[meter].livemode for meter in state.meter_ids])[meters]
    customers = state.numbers_of(names, modes)
    wholes, parts = values.read(texts)
    counting = np.array(state.counting_meters)[meters]
    wholes[counting], parts[counting] = 1, 0
    plain = np.array([is_plain(state.meters[meter]) for meter in state.meter_ids])[meters]
    sequences = np.arange(first, first + count)
    places = np.arange(count)
    if first <= state.table.restored_until:
        places = np.flatnonzero(sequences > _restored_at(state, meters, customers))
    usage = Usage(
        meters=meters[places],
        customers=customers[places],
        wholes=wholes[places],
        parts=parts[places],
        hours=np.array(timestamps)[places] // HOUR_SECONDS,
        sequences=sequences[places],
        apart=(~plain | (wholes < 0))[places],
    )
    group.is_changing = True
    if len(places):
        before = list(chain.from_iterable(run.previous for run in runs))
        previous = add_plain(state, usage)
        for place in places[previous == NOT_ADDED].tolist():
            meter = state.meters[ids[place]]
            value = value_of(meter, texts[place])
            if not before[place]:
                # The part of its hour before this event was put away; here it may be open still.
                hour = timestamps[place] // HOUR_SECONDS
                state.table.end_part_of(int(meters[place]), int(customers[place]), hour)
            group.count(meter, names[place], first + place, timestamps[place], value)
    for run in runs:
        _index(group, run)
        group.entries.append(run)
        state.sequence += len(run)
    group.is_changing = False


def _restored_at(state: State, meters: Numbers, customers: Numbers) -> Numbers:
    """Return up to which sequence a checkpoint held each event's counter."""
    order = np.argsort(meters, kind="stable")
    slots = np.empty(len(meters), dtype=np.int64)
    slots[order] = state.table.find_many(meters[order], customers[order])
    return state.table.restored_at(slots)


def _index(group: Group, run: EventRun) -> None:
    state = group.state
    modes = {state.meters[meter].livemode for meter in set(run.meters)}
    if len(modes) == 1:
        state.identifiers[modes.pop()].add_run(run.identifiers, run.sequence)
    else:
        for place, identifier in enumerate(run.identifiers):
            livemode = state.meters[run.meters[place]].livemode
            state.identifiers[livemode].add(identifier, run.sequence + place)
    for place, more in run.more.items():
        if more.request_key:
            livemode = state.meters[run.meters[place]].livemode
            state.request_keys[livemode].add(more.request_key, run.sequence + place)
