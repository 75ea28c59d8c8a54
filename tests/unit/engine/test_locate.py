"""The event that reached a threshold, out of parts of hours. Rule A3."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from meterbell.engine.counter import Bucket, Counted
from meterbell.engine.locate import Located, locate
from tests.builders import HOUR, NOW
from tests.hypothesis_profiles import load_profile, part_of_examples

load_profile()

Usage = tuple[int, int, int]
"""Hours after the start for which it comes, minutes since the usage before it, value."""


class History:
    """A customer's usage as chains of parts of hours: one part for each stretch of an hour."""

    def __init__(self, usages: list[Usage], *, cuts: int = 0) -> None:
        """Lay out usage; bit i of `cuts` begins new parts everywhere after event i."""
        self.events: dict[int, Counted] = {}
        self.received: dict[int, int] = {}
        self._previous: dict[int, int] = {}
        self.parts: list[tuple[int, Bucket]] = []
        open_parts: dict[int, Bucket] = {}
        now = NOW
        for sequence, (hours, minutes, value) in enumerate(usages, start=1):
            now += minutes * 60
            hour = min(NOW // HOUR + hours, (now + 300) // HOUR)
            before = open_parts.get(hour, Bucket())
            self._previous[sequence] = before.head
            open_parts[hour] = Bucket(before.value + value, before.events + 1, None, sequence)
            self.events[sequence] = Counted(hour * HOUR, sequence, value)
            self.received[sequence] = now
            if cuts >> sequence & 1:
                self.parts += open_parts.items()
                open_parts = {}
        self.parts += open_parts.items()
        self.walked = 0

    def walk(self, first: int, head: int) -> Iterator[Counted]:
        while head >= first:
            self.walked += 1
            yield self.events[head]
            head = self._previous[head]

    def locate(self, threshold: int, *, first: int = 1, total: int | None = None) -> Located | None:
        counting = [event.value for at, event in self.events.items() if at >= first]
        return locate(
            self.parts,
            first=first,
            start=self.received.get(first, NOW),
            threshold=threshold,
            total=sum(counting) if total is None else total,
            walk=lambda head: self.walk(first, head),
            received=self.received.__getitem__,
        )

    def expected(self, threshold: int, first: int) -> Located | None:
        usage = 0
        for sequence, event in self.events.items():
            if sequence >= first:
                usage += event.value
                if usage >= threshold:
                    return Located(sequence, usage)
        return None


usages = st.lists(
    st.tuples(st.integers(-3, 40), st.sampled_from([0, 1, 4, 10, 50, 200]), st.integers(0, 4)),
    max_size=60,
)


@part_of_examples(5)
@given(
    usages=usages,
    cuts=st.integers(0, 2**60),
    threshold=st.integers(1, 60),
    first=st.integers(1, 20),
)
def test_a3_the_event_found_is_the_first_that_reaches_the_threshold(
    usages: list[Usage], cuts: int, threshold: int, first: int
) -> None:
    history = History(usages, cuts=cuts)

    assert history.locate(threshold, first=first) == history.expected(threshold, first)


def test_only_hours_near_the_crossing_are_walked() -> None:
    history = History([(hour, 6, 1) for hour in range(100) for _ in range(10)])

    assert history.locate(505) == Located(505, 505)
    assert history.walked <= 60


def test_nothing_is_told_where_the_accounts_differ() -> None:
    history = History([(0, 1, 5), (3, 200, 5)])

    assert history.locate(10) == Located(2, 10)
    assert history.locate(10, total=11) is None
