"""All counters, as rows of numbers in one table: 64 bytes each, and no object for most of them.

There are millions of counters and nearly every event touches exactly one, in no order. What every
event needs stands in the counter's row, which is one line of the processor's cache; what few need
stands in a `Detail` beside the table. `plain` adds usage to many rows in one step; everything else
takes a `Counter` out and puts it back.
"""

from collections import defaultdict
from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meterbell.engine.counter import ALWAYS, NEVER, NO_DETAIL, Counter, Detail
from meterbell.engine.growing import Growing, Numbers, stretches
from meterbell.engine.hours import SLOT, ClosedHours, Hours, add_parts, entry_of, parts_of
from meterbell.engine.value import SCALE

# What stands where in a row. Amounts are in two parts: whole units, and units of 10^-12 below one.
# `TIME` holds the newest hour and, below it, how many events count in it.
TOTAL, TOTAL_PART, FIRE, ARMED, TIME, VALUE, VALUE_PART, HEAD = range(8)
HOUR_SHIFT = 40
EVENTS_MASK = (1 << HOUR_SHIFT) - 1
# Amounts at or beyond this many whole units are kept as Python's integers, beside the table.
WHOLE_MAX = 2**61
_FIRE_ALWAYS, _FIRE_NEVER = -(2**62), 2**62
_EMPTY_TIME = -1 << HOUR_SHIFT
BLOCK = 1024
"""So many rows are saved together."""
_CUSTOMERS_AT_FIRST = 1024


class Block(NamedTuple):
    """Counters whose rows stand side by side, with meter and customer of each.

    Attributes:
        hours: Parts of hours that the store does not keep yet, with the place for the slot.
        details: By place in the block, for the few that have one.
        large: By place, those that no row can hold.
    """

    meters: Numbers
    customers: Numbers
    rows: Numbers
    hours: Numbers
    details: dict[int, Detail]
    large: dict[int, Counter]


class CounterTable:
    """The counters of all meters and customers, which have numbers here.

    Attributes:
        details: By row, for the few that have one.
        count: How many rows are taken; some may be empty.
        revisions: By meter, the sequence of the latest change of its alerts for any customer.
        first_fire: By meter, the lowest active threshold of those, in whole units.
        changed: By block of rows, whether something in it changed since it was saved.
        hours: Hours that are over, of counters that only add up.
        plain: By number of the meter, whether its usage does nothing but add up.
        late: By block, rows of such counters whose detail holds what came late for an hour.
        restored_until: A checkpoint may hold the effect of entries up to this sequence.
    """

    def __init__(self) -> None:
        self._rows = Growing(8)
        self._who = Growing(2)
        self.plain: list[bool] = []
        self._large: dict[int, Counter] = {}
        self._restored: Numbers = np.zeros(0, dtype=np.int64)
        self._restored_count = 0
        self.restored_until = 0
        self.hours = ClosedHours()
        self.late: defaultdict[int, set[int]] = defaultdict(set)
        self._slots: list[NDArray[np.int32]] = []
        self.details: dict[int, Detail] = {}
        self.count = 0
        self._empty = 0
        self.revisions: Numbers = np.zeros(0, dtype=np.int64)
        self.first_fire: Numbers = np.zeros(0, dtype=np.int64)
        self.changed: NDArray[np.bool_] = np.zeros(1024, dtype=np.bool_)

    def __len__(self) -> int:
        return self.count - self._empty

    @property
    def rows(self) -> Numbers:
        """The table itself; not to be kept."""
        return self._rows.rows

    @property
    def meters(self) -> Numbers:
        """By row, one more than its meter's number, 0 for an empty row; not to be kept."""
        return self._who.rows[: self.count, 0]

    def add_meter(self, *, plain: bool) -> int:
        """Return the number of a new meter.

        Args:
            plain: Whether its usage does nothing but add up.
        """
        self.plain.append(plain)
        self._slots.append(np.zeros(_CUSTOMERS_AT_FIRST, dtype=np.int32))
        self.revisions = np.append(self.revisions, 0)
        self.first_fire = np.append(self.first_fire, _FIRE_NEVER)
        return len(self._slots) - 1

    def set_alerts(self, meter: int, *, revision: int, lowest: int) -> None:
        """Take in that a meter's alerts for any customer changed.

        Args:
            meter: Its number.
            revision: Sequence of the change.
            lowest: Their lowest active threshold, in units of 10^-12.
        """
        self.revisions[meter] = revision
        self.first_fire[meter] = _fire(lowest)

    def find(self, meter: int, customer: int) -> int:
        """Return a counter's row; -1 if there is none."""
        slots = self._slots[meter]
        return int(slots[customer]) - 1 if customer < len(slots) else -1

    def find_many(self, meters: Numbers, customers: Numbers) -> Numbers:
        """Return the rows of counters, -1 where there is none; `meters` is ascending."""
        found = np.empty(len(meters), dtype=np.int64)
        for meter, start, end in stretches(meters):
            wanted = customers[start:end]
            found[start:end] = self._slots_for(meter, int(wanted.max()))[wanted]
        return found - 1

    def add(self, meter: int, customer: int) -> int:
        """Return the row of a new counter without usage."""
        slot, self.count = self.count, self.count + 1
        self._rows.reserve(self.count)
        self._who.reserve(self.count)
        self._slots_for(meter, customer)[customer] = self.count
        self._who.rows[slot] = meter + 1, customer
        self.rows[slot, TIME] = _EMPTY_TIME
        self._mark_block(slot // BLOCK)
        return slot

    def add_many(self, meters: Numbers, customers: Numbers) -> Numbers:
        """Return the rows of new counters without usage; `meters` is ascending."""
        added = np.arange(self.count, self.count + len(meters))
        self._take(added, meters, customers)
        return added

    def _take(self, slots: Numbers, meters: Numbers, customers: Numbers) -> None:
        """Take the next rows, in any order, for new counters; `meters` is ascending."""
        self.count += len(slots)
        self._rows.reserve(self.count)
        self._who.reserve(self.count)
        for meter, start, end in stretches(meters):
            wanted = customers[start:end]
            self._slots_for(meter, int(wanted.max()))[wanted] = slots[start:end] + 1
        who = self._who.rows
        who[slots, 0] = meters + 1
        who[slots, 1] = customers
        self.rows[slots, TIME] = _EMPTY_TIME
        if len(slots):
            self._mark(slots)

    def _skip_to(self, count: int) -> None:
        """Leave rows empty up to a number of rows."""
        self._empty += count - self.count
        self.count = count
        self._rows.reserve(count)
        self._who.reserve(count)

    def put_rows(self, slots: Numbers, rows: Numbers) -> None:
        """Replace rows."""
        if len(slots):
            self.rows[slots] = rows
            self._mark(slots)

    def _mark(self, slots: Numbers) -> None:
        blocks = slots // BLOCK
        self._mark_block(int(blocks.max()))
        self.changed[blocks] = True

    def _mark_block(self, block: int) -> None:
        if block >= len(self.changed):
            self.changed = np.append(self.changed, np.zeros(block, dtype=np.bool_))
        self.changed[block] = True

    def load(self, slot: int) -> Counter:
        """Return the counter in a row; what is changed in it must be stored."""
        large = self._large.get(slot)
        if large is not None:
            return copy(large)
        total, part, fire, armed, time, value, value_part, head = self.rows[slot].tolist()
        if fire <= _FIRE_ALWAYS:
            next_fire = ALWAYS
        else:
            next_fire = NEVER if fire >= _FIRE_NEVER else fire * SCALE
        return Counter(
            total=total * SCALE + part,
            next_fire=next_fire,
            armed=armed,
            hour=time >> HOUR_SHIFT,
            value=value * SCALE + value_part,
            events=time & EVENTS_MASK,
            head=head,
            detail=self.details.get(slot),
        )

    def store(self, slot: int, counter: Counter) -> None:
        """Put a counter into its row."""
        if counter.detail is not None:
            self._store_detail(slot, counter)
        total, part = divmod(counter.total, SCALE)
        value, value_part = divmod(counter.value, SCALE)
        fire = _fire(counter.next_fire)
        if abs(total) < WHOLE_MAX and abs(value) < WHOLE_MAX:
            self._large.pop(slot, None)
        else:
            # Each event of it takes the general way.
            self._large[slot] = counter
            total = part = value = value_part = 0
            fire = _FIRE_ALWAYS
        time = counter.hour << HOUR_SHIFT | counter.events
        row = (total, part, fire, counter.armed, time, value, value_part, counter.head)
        self.rows[slot] = row
        block = slot // BLOCK
        self.changed[block] = True

    def _store_detail(self, slot: int, counter: Counter) -> None:
        detail = counter.open_detail()
        if detail.buckets and self.plain[int(self._who.rows[slot, 0]) - 1]:
            hour = int(self.rows[slot, TIME]) >> HOUR_SHIFT
            if hour < counter.hour:
                self.end_part(detail, slot, hour)
            if detail.buckets:
                self.late[slot // BLOCK].add(slot)
        if detail != NO_DETAIL:
            self.details[slot] = detail
        else:
            self.details.pop(slot, None)
            counter.detail = None

    def end_part(self, detail: Detail, slot: int, hour: int) -> None:
        """Put a part of an hour away; what comes later for that hour begins another."""
        bucket = detail.buckets.get(hour)
        if bucket is not None and abs(bucket.value) < WHOLE_MAX * SCALE:
            del detail.buckets[hour]
            self.hours.add(np.array([entry_of(slot, hour, bucket)]))

    def end_part_of(self, meter: int, customer: int, hour: int) -> None:
        """Put a part of an hour away of a counter that only adds up, if it has begun one."""
        slot = self.find(meter, customer)
        detail = self.details.get(slot)
        if detail is not None and self.plain[meter] and hour in detail.buckets:
            self.end_part(detail, slot, hour)

    def hours_of(self, slot: int) -> Hours:
        """Return a counter's hours but for what the store keeps."""
        counter = self.load(slot)
        found: Hours = {hour: [counter.bucket(hour)] for hour in counter.hours()}
        add_parts(found, parts_of(self.hours.of(slot, block=slot // BLOCK)))
        return found

    def stored_until(self, slot: int) -> int:
        """Return up to which sequence the store's hours of a counter are to be added; 0 if none."""
        return self.hours.stored_until(slot // BLOCK)

    def blocks_with_hours(self) -> set[int]:
        """Return the blocks of which closed hours are to go to the store."""
        return {*np.unique(self.hours.slots() // BLOCK).tolist(), *self.late}

    def leave_hours(self, block: int) -> Numbers:
        """Return and remove what a block has of closed hours, which the store is to keep."""
        for slot in sorted(self.late.pop(block, ())):
            detail = self.details[slot]
            for hour in list(detail.buckets):
                self.end_part(detail, slot, hour)
            if detail == NO_DETAIL:
                del self.details[slot]
        return self.hours.leave(block * BLOCK, (block + 1) * BLOCK, block=block)

    def restored_at(self, slots: Numbers) -> Numbers:
        """Return for each row up to which sequence a checkpoint held everything; 0 for none."""
        found = np.zeros(len(slots), dtype=np.int64)
        inside = (slots >= 0) & (slots < self._restored_count)
        found[inside] = self._restored[slots[inside] // BLOCK]
        return found

    def fire_next(self, slot: int) -> None:
        """Have alerts looked at when the next event comes."""
        self.rows[slot, FIRE] = _FIRE_ALWAYS
        self.changed[slot // BLOCK] = True

    def block(self, number: int) -> Block:
        """Return what a block of rows holds."""
        first = number * BLOCK
        hours = self.hours.between(first, first + BLOCK)
        hours[:, SLOT] -= first
        slots = np.arange(first, min(first + BLOCK, self.count))
        slots = slots[self._who.rows[slots, 0] > 0]
        details: dict[int, Detail] = {}
        large: dict[int, Counter] = {}
        for place, slot in enumerate(slots.tolist()):
            if slot in self.details:
                details[place] = self.details[slot]
            if slot in self._large:
                large[place] = self._large[slot]
        who = self._who.rows[slots]
        return Block(who[:, 0] - 1, who[:, 1], self.rows[slots], hours, details, large)

    def load_block(self, number: int, block: Block, *, sequence: int) -> None:
        """Fill a block of rows with what `block` returned; those before it are filled.

        Args:
            number: Which block.
            block: What it holds. Each counter keeps its row: the store knows its hours by that.
            sequence: It holds the effect of everything up to here.
        """
        first = number * BLOCK
        self._skip_to(first)
        order = np.argsort(block.meters, kind="stable")
        self._take(first + order, block.meters[order], block.customers[order])
        self.rows[first : self.count] = block.rows
        for place, detail in block.details.items():
            self.details[first + place] = detail
            if detail.buckets and self.plain[int(block.meters[place])]:
                self.late[number].add(first + place)
        for place, counter in block.large.items():
            self._large[first + place] = counter
        hours = block.hours.copy()
        hours[:, SLOT] += first
        self.hours.add(hours)
        self.hours.arrive(number, sequence)
        self.changed[number] = False
        before = np.zeros(number + 1 - len(self._restored), dtype=np.int64)
        self._restored = np.append(self._restored, before)
        self._restored[number] = sequence
        self._restored_count = self.count
        self.restored_until = max(self.restored_until, sequence)

    def customers_from(self, meter: int, total: int) -> list[int]:
        """Return the customers whose counter may be at so many whole units or above."""
        customers = np.flatnonzero(self._slots[meter])
        rows = self.rows[self._slots[meter][customers] - 1]
        found: list[int] = customers[
            (rows[:, TOTAL] >= min(total, WHOLE_MAX)) | (rows[:, FIRE] == _FIRE_ALWAYS)
        ].tolist()
        return found

    def counters_of(self, meter: int) -> tuple[Numbers, Numbers]:
        """Return the customers of a meter that have a counter, ascending, and their rows."""
        customers = np.flatnonzero(self._slots[meter])
        return customers, self._slots[meter][customers].astype(np.int64) - 1

    def customers_at(self, slots: Numbers) -> Numbers:
        """Return the customers whose counters stand in rows."""
        customers: Numbers = self._who.rows[slots, 1]
        return customers

    def with_more(self, slots: Numbers) -> Numbers:
        """Return the places of those counters that have a detail or that no row can hold."""
        has_more = np.zeros(len(slots), dtype=np.bool_)
        for kept in (self.details, self._large):
            if kept:
                has_more |= np.fromiter(map(kept.__contains__, slots.tolist()), np.bool_)
        return np.flatnonzero(has_more)

    def large_between(self, first: int, end: int) -> list[int]:
        """Return the counters of a stretch of rows that no row can hold; those say nothing."""
        return [slot for slot in self._large if first <= slot < end]

    def is_large(self, slot: int) -> bool:
        """Return whether no row can hold the counter."""
        return slot in self._large

    def _slots_for(self, meter: int, customer: int) -> NDArray[np.int32]:
        slots = self._slots[meter]
        if customer >= len(slots):
            larger = np.zeros(max(2 * len(slots), customer + 1), dtype=np.int32)
            larger[: len(slots)] = slots
            self._slots[meter] = slots = larger
        return slots


def fitted(amount: int) -> tuple[int, int]:
    """Return an amount as whole units and parts; what no row can hold becomes the most it can."""
    whole, part = divmod(amount, SCALE)
    return (whole, part) if abs(whole) < WHOLE_MAX else (max(min(whole, WHOLE_MAX), -WHOLE_MAX), 0)


def _fire(next_fire: int) -> int:
    """Return in whole units the lowest total at which an alert may fire; a little lower is fine."""
    return min(max(next_fire // SCALE, _FIRE_ALWAYS), _FIRE_NEVER)
