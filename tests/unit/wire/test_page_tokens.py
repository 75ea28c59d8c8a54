"""Tokens of customer pages say what was signed, and nothing that was changed."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from meterbell.api.v1.customer_pages import KEY_PURPOSE
from meterbell.ids import RandomIds
from meterbell.vault import Vault, generate_key
from meterbell.wire.page_tokens import read_page, sign_page
from tests.unit.dashboard.linked import CLAIMS

KEY = bytes(range(32))


@given(st.data())
def test_no_change_to_a_token_is_taken(data: st.DataObject) -> None:
    token = sign_page(CLAIMS, KEY)
    other = sign_page(msgspec.structs.replace(CLAIMS, customer="cus_b"), bytes(32))
    letters = st.text("ABCabc012-_.=page_tok/é ", max_size=3)
    start = data.draw(st.integers(0, len(token)))
    end = data.draw(st.integers(start, len(token)))
    tampered = data.draw(
        st.one_of(
            letters.map(lambda text: token[:start] + text + token[end:]),
            st.just(token[:start] + other[start:]),
            st.just(other[:start] + token[start:]),
            st.just(token[:start].swapcase() + token[start:]),
            st.text(max_size=80),
        )
    )

    assert read_page(tampered, KEY) == (CLAIMS if tampered == token else None)


def test_a_fresh_first_key_of_the_vault_ends_all_links() -> None:
    ids = RandomIds()
    old, fresh = generate_key(ids), generate_key(ids)
    before, after = Vault([old], ids), Vault([fresh, old], ids)
    token = sign_page(CLAIMS, before.derive(KEY_PURPOSE))

    assert read_page(token, before.derive(KEY_PURPOSE)) == CLAIMS
    assert read_page(token, after.derive(KEY_PURPOSE)) is None
    assert before.derive(KEY_PURPOSE) != before.derive("something else")
