"""Sealed secrets: they open for what they are about, with the right key, unchanged. Rule D5."""

import base64

import pytest

from meterbell.errors import SecretUnreadableError, SettingsError
from meterbell.ids import RandomIds
from meterbell.vault import Vault, generate_key, key_of, parse_keys

IDS = RandomIds()
OLD, NEW = generate_key(IDS), generate_key(IDS)
VAULT = Vault([OLD], IDS)


@pytest.mark.parametrize("text", ["", "whsec_abc", "é\n\0😀", "x" * 100_000])
@pytest.mark.parametrize("about", ["", "webhook_endpoint we_1", "é"])
def test_d5_a_sealed_secret_opens_for_what_it_is_about(text: str, about: str) -> None:
    sealed = VAULT.seal(text, about=about)

    assert sealed.isascii()
    assert VAULT.open(sealed, about=about) == text


def test_d5_a_sealed_secret_does_not_show_what_it_is() -> None:
    first, second = (VAULT.seal("whsec_abc", about="a") for _ in range(2))

    assert first != second
    data = [base64.urlsafe_b64decode(sealed.split(":")[3] + "==") for sealed in (first, second)]
    assert [b"whsec" in one for one in data] == [False, False]
    assert data[0][:28] != data[1][:28]


def test_d5_a_sealed_secret_does_not_open_for_another_row() -> None:
    sealed = VAULT.seal("whsec_abc", about="webhook_endpoint we_1")

    with pytest.raises(SecretUnreadableError, match=r"of webhook_endpoint we_2 .*was changed"):
        VAULT.open(sealed, about="webhook_endpoint we_2")


def test_d5_a_changed_secret_does_not_open() -> None:
    head, data = VAULT.seal("whsec_abc", about="a").rsplit(":", 1)
    raw = base64.urlsafe_b64decode(data + "==")

    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        text = base64.urlsafe_b64encode(changed).decode().rstrip("=")
        with pytest.raises(SecretUnreadableError, match="was changed"):
            VAULT.open(f"{head}:{text}", about="a")
    for end in range(1, len(data)):
        with pytest.raises(SecretUnreadableError):
            VAULT.open(f"{head}:{data[:end]}", about="a")


@pytest.mark.parametrize(
    "text", ["", "whsec_abc", "sealed:1::x", "sealed:2:" + "0" * 16 + ":x", " sealed:1:"]
)
def test_d5_what_is_not_sealed_does_not_open(text: str) -> None:
    assert key_of(text) is None
    with pytest.raises(SecretUnreadableError, match="not sealed"):
        VAULT.open(text, about="a")


def test_d5_the_first_key_seals_and_every_key_opens() -> None:
    sealed = VAULT.seal("whsec_abc", about="a")
    both = Vault([NEW, OLD], IDS)

    again = both.seal(both.open(sealed, about="a"), about="a")

    assert (key_of(sealed), key_of(again)) == (OLD.id, NEW.id)
    assert Vault([NEW], IDS).open(again, about="a") == "whsec_abc"
    with pytest.raises(SecretUnreadableError, match=f"no key {OLD.id}"):
        Vault([NEW], IDS).open(sealed, about="a")


def test_keys_are_read_as_people_write_them() -> None:
    url_safe = OLD.text.replace("+", "-").replace("/", "_")

    assert parse_keys(f"{OLD.text}, {NEW.text}", where="here") == [OLD, NEW]
    assert parse_keys(f"# {OLD.text}\n\n{url_safe}  # mine\n{NEW.text}\n", where="a") == [OLD, NEW]
    assert parse_keys("", where="here") == []


@pytest.mark.parametrize(
    "text", ["secret", "é", "AAAA", base64.b64encode(bytes(31)).decode(), "A" * 44 + "="]
)
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^here holds something that is no key") as caught:
        parse_keys(f"{NEW.text},{text}", where="here")

    assert text not in str(caught.value).replace("here holds", "")
