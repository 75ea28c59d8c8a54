"""A run of meter events from the log, taken in again: the hot path of a start.

As in `stream`, what nearly every event needs is done in the loop and the rest by `Group`.
"""

from meterbell.engine.decide import Group
from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.model import EventRow, EventRun
from meterbell.engine.rows import value_of
from meterbell.engine.stream import Values, new_counter_of, read_value
from meterbell.engine.value import SCALE

_PLAIN_FIELDS = 6


def replay_run(group: Group, run: EventRun, values: Values) -> None:
    """Take in a run that the log already holds, with the same effect it had at first.

    Args:
        group: Which it becomes a part of.
        run: The log's next entry.
        values: As in `record_batches`.
    """
    state = group.state
    assert run.sequence == state.sequence + 1, "the log has a gap"
    modes = set()
    for sequence, row in enumerate(run.rows, run.sequence):
        meter_id, customer, _, timestamp, text = row[:5]
        plain = state.plain_meters_by_id.get(meter_id)
        if plain is not None:
            modes.add(plain.livemode)
            counter = plain.counters.get(customer)
            if counter is not None and sequence <= counter.head:
                continue
            value = SCALE if plain.counts_events else values.get(text, -1)
            if value < 0:
                value = read_value(text, values)
            if counter is None and value >= 0:
                counter = new_counter_of(state, plain, customer)
            if counter is not None and value >= 0 and plain.any_customer.revision <= counter.armed:
                total = counter.total + value
                hour = timestamp // HOUR_SECONDS
                detail = counter.detail
                if (
                    total < counter.next_fire
                    and hour >= counter.hour
                    and (detail is None or sequence > detail.changed)
                ):
                    if hour > counter.hour:
                        counter.open_hour(hour)
                    counter.total = total
                    counter.value += value
                    counter.events += 1
                    counter.head = sequence
                    continue
        meter = state.meters[meter_id]
        modes.add(meter.livemode)
        general = state.counter(meter_id, customer)
        if general is None or sequence > general.changed:
            group.count(meter, customer, sequence, timestamp, value_of(meter, text))
    _index(group, run, modes)
    group.entries.append(run)
    state.sequence += len(run.rows)


def _index(group: Group, run: EventRun, modes: set[bool]) -> None:
    state = group.state
    if len(modes) == 1:
        state.identifiers[modes.pop()].add_run([row[2] for row in run.rows], run.sequence)
    else:
        for sequence, row in enumerate(run.rows, run.sequence):
            state.identifiers[state.meters[row[0]].livemode].add(row[2], sequence)
    for sequence, row in enumerate(run.rows, run.sequence):
        if len(row) > _PLAIN_FIELDS and (key := EventRow(*row).request_key):
            state.request_keys[state.meters[row[0]].livemode].add(key, sequence)
