"""Ids: their shape, and that they don't repeat."""

import re

from meterbell.ids import CountingIds, RandomIds, new_id


def test_random_tokens_are_letters_and_digits_of_the_length_asked_for() -> None:
    for length in (1, 24, 32, 43):
        assert re.fullmatch(rf"[0-9A-Za-z]{{{length}}}", RandomIds().token(length))


def test_random_tokens_do_not_repeat_and_use_all_characters() -> None:
    ids = RandomIds()

    tokens = [ids.token(24) for _ in range(2000)]

    assert len(set(tokens)) == 2000
    assert len(set("".join(tokens))) == 62
    assert len({token[0] for token in tokens}) > 50


def test_an_id_names_its_kind_and_where_asked_its_test_mode() -> None:
    ids = CountingIds()

    assert new_id(ids, "alrt") == "alrt_000000000000000000000001"
    assert new_id(ids, "mtr", livemode=False) == "mtr_test_000000000000000000000002"
    assert new_id(ids, "mtr", livemode=True) == "mtr_000000000000000000000003"


def test_random_numbers_stay_below_the_bound_and_reach_every_value() -> None:
    ids = RandomIds()

    assert {ids.number(below=3) for _ in range(300)} == {0, 1, 2}


def test_raw_bytes_are_as_many_as_asked_for_and_do_not_repeat() -> None:
    for ids in (RandomIds(), CountingIds()):
        drawn = [ids.raw(28) for _ in range(20)]

        assert {len(one) for one in drawn} == {28}
        assert len(set(drawn)) == 20


def test_counted_numbers_go_round() -> None:
    ids = CountingIds()

    assert [ids.number(below=3) for _ in range(5)] == [1, 2, 0, 1, 2]
