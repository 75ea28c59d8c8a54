"""Finding many customers at once gives what asking for each gives."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from meterbell.engine.growing import Numbers
from meterbell.engine.names import NameFinder, slots_of, words_of
from meterbell.ids import CustomerId

MANY = [CustomerId(f"cus_{number:014}") for number in range(3000)]


def ask_each(known: dict[CustomerId, int], names: list[CustomerId]) -> list[int]:
    return [known.get(name, -1) for name in names]


# Of one length, so that they go the quick way; zeros and what is not ASCII among them.
SIMILAR = st.text("ab\0\x7f", min_size=3, max_size=3)
ANY = st.one_of(SIMILAR, st.text(max_size=41), st.text("aé", min_size=3, max_size=3))
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "remove"]), SIMILAR, st.lists(ANY | SIMILAR, max_size=9)),
    max_size=12,
)


@given(steps=STEPS, is_mixed=st.booleans())
def test_many_are_found_as_each_would_be(
    *, steps: list[tuple[str, str, list[str]]], is_mixed: bool
) -> None:
    finder, known = NameFinder(), {name: number for number, name in enumerate(MANY)}
    number = len(known)
    for step, text, others in steps:
        name = CustomerId(text)
        if step == "add":
            known.setdefault(name, number)
            number += 1
        elif name in known:
            del known[name]
            finder.forget(name)
        asked = [CustomerId(other) for other in [text, *others] if is_mixed or len(other) == 3]
        names = (asked * 70)[:140]

        assert finder.find(known, names).tolist() == ask_each(known, names)
        # Again, now that they were learnt.
        assert finder.find(known, names).tolist() == ask_each(known, names)


def test_a_hundred_thousand_are_found_while_they_become_more() -> None:
    finder, known = NameFinder(), {name: number for number, name in enumerate(MANY)}
    unknown = [CustomerId(f"nob_{number:014}") for number in range(100)]
    while len(known) < 100_000:
        first = len(known)
        more = [CustomerId(f"cus_{number:014}") for number in range(first, first + 9700)]
        known.update(zip(more, range(first, first + 9700), strict=True))
        names = [*MANY[::7], *unknown, *more]

        assert finder.find(known, names).tolist() == ask_each(known, names)


def test_names_with_zeros_at_the_end_stay_apart() -> None:
    finder, known = NameFinder(), {name: number for number, name in enumerate(MANY)}
    known[CustomerId("a\0")] = 5000
    assert finder.find(known, [CustomerId("a\0")] * 70).tolist() == [5000] * 70

    assert finder.find(known, [CustomerId("a")] * 70).tolist() == [-1] * 70
    assert finder.find(known, [CustomerId("a\0\0")] * 70).tolist() == [-1] * 70


def test_a_name_that_was_forgotten_is_found_again_under_a_new_number() -> None:
    finder, known = NameFinder(), {name: number for number, name in enumerate(MANY)}
    names = MANY[:100]
    finder.find(known, names)
    del known[MANY[3]]
    finder.forget(MANY[3])
    assert finder.find(known, names).tolist() == ask_each(known, names)

    known[MANY[3]] = 9000

    assert finder.find(known, names).tolist() == ask_each(known, names)
    assert finder.find(known, names).tolist() == ask_each(known, names)


def test_names_that_collide_on_purpose_are_still_found() -> None:
    finder, known = NameFinder(), {name: number for number, name in enumerate(MANY)}
    finder.find(known, MANY)
    # Two for each customer, in a power of two.
    slots = slots_of(made_words(700_000), 8192)
    rivals = [CustomerId(f"r{place:07}") for place in np.flatnonzero(slots == slots[0]).tolist()]
    assert len(rivals) > 64
    known.update({name: 5000 + number for number, name in enumerate(rivals)})

    for _ in range(2):
        assert finder.find(known, rivals).tolist() == ask_each(known, rivals)
        assert finder.find(known, MANY).tolist() == ask_each(known, MANY)


def made_words(count: int) -> Numbers:
    words = words_of([CustomerId(f"r{number:07}") for number in range(count)])
    assert words is not None
    return words


def test_few_names_are_asked_for_one_by_one() -> None:
    finder, known = NameFinder(), {name: number for number, name in enumerate(MANY)}
    finder.forget(MANY[0])

    assert finder.find(known, MANY[:3]).tolist() == [0, 1, 2]
