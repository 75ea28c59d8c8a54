"""The egress policy: what is denied, and what a setting can allow. Rule D4."""

from ipaddress import ip_address

import pytest

from meterbell.delivery.egress import Egress, parse_exempt
from meterbell.delivery.target import parse_target
from meterbell.errors import SettingsError
from tests.support.tree import ROOT

PUBLIC = "8.8.8.8"


def refusal(
    egress: Egress, url: str, address: str | None = None, *, livemode: bool = False
) -> str | None:
    """Return why a URL may not be dialled at an address: by default the one in it, if any."""
    target = parse_target(url)
    found = None if isinstance(target.host, str) else target.host
    return egress.refusal(
        target, found if address is None else ip_address(address), livemode=livemode
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("livemode", [False, True])
@pytest.mark.parametrize("is_local", [False, True])
def test_d4_loopback_only_in_test_mode_of_a_server_that_is_local(
    address: str, *, livemode: bool, is_local: bool
) -> None:
    reason = refusal(
        Egress(is_local=is_local), "https://localhost:9009/", address, livemode=livemode
    )

    assert (reason is None) is (is_local and not livemode)
    assert reason is None or "this machine itself" in reason


@pytest.mark.parametrize("livemode", [False, True])
def test_d4_other_addresses_of_this_machine_are_like_loopback(*, livemode: bool) -> None:
    own = ip_address("8.8.4.4")
    for is_local in (False, True):
        egress = Egress(is_local=is_local, is_own=lambda address: address == own)
        reason = refusal(egress, "https://a.example/", "8.8.4.4", livemode=livemode)
        assert (reason is None) is (is_local and not livemode)
        assert refusal(egress, "https://a.example/", PUBLIC, livemode=livemode) is None


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "fd00::1", "64:ff9b::808:808"])
@pytest.mark.parametrize("is_local", [False, True])
def test_d4_nothing_else_that_is_special_is_allowed_by_itself(
    address: str, *, is_local: bool
) -> None:
    egress = Egress(is_local=is_local)

    reason = refusal(egress, "https://a.example/", address)

    assert reason is not None
    assert f"{address} is not public" in reason
    assert "egress_allow" in reason


def test_d4_live_mode_requires_https() -> None:
    egress = Egress()

    assert refusal(egress, "http://a.example/", PUBLIC, livemode=True) is not None
    assert refusal(egress, "http://a.example/", livemode=True) is not None
    assert refusal(egress, "http://a.example/", PUBLIC) is None
    assert refusal(egress, "https://a.example/", PUBLIC, livemode=True) is None


@pytest.mark.parametrize("port", [1, 22, 25, 79, 81, 442, 444, 1023])
def test_d4_ports_of_other_services_are_denied(port: int) -> None:
    reason = refusal(Egress(is_local=True), f"http://127.0.0.1:{port}/")

    assert reason is not None
    assert f"port {port} belongs to another service" in reason


@pytest.mark.parametrize("port", [80, 443, 1024, 8080, 65_535])
def test_d4_other_ports_are_not(port: int) -> None:
    assert refusal(Egress(), f"http://{PUBLIC}:{port}/") is None


@pytest.mark.parametrize(
    ("allow", "url", "address"),
    [
        ("10.0.0.0/8", "https://a.example/", "10.1.2.3"),
        (" 192.168.1.1 , 10.0.0.0/8", "https://10.1.2.3/", None),
        ("10.1.2.3", "https://[::ffff:10.1.2.3]/", None),
        ("fd00::/8", "https://a.example/", "fd12::1"),
        ("Hooks.Internal.", "https://hooks.internal/", "10.1.2.3"),
        ("localhost", "https://localhost/", "127.0.0.1"),
        ("hooks.internal:25", "https://hooks.internal:25/", "10.1.2.3"),
        ("10.0.0.0/8:25", "https://a.example:25/", "10.1.2.3"),
        ("[fd00::/8]:25", "https://a.example:25/", "fd12::1"),
        ("[fd12::1]:25", "https://[fd12::1]:25/", None),
        ("a.example:81", "https://a.example:81/", PUBLIC),
        ("http://hooks.internal", "http://hooks.internal/", "10.1.2.3"),
        ("http://10.0.0.0/8", "http://a.example/", "10.1.2.3"),
        ("http://127.1", "http://127.0.0.1/", None),
    ],
)
def test_d4_a_setting_allows_hosts_and_ranges(allow: str, url: str, address: str | None) -> None:
    assert refusal(Egress(), url, address, livemode=True) is not None
    assert refusal(Egress(exempt=parse_exempt(allow)), url, address, livemode=True) is None


@pytest.mark.parametrize(
    ("allow", "url", "address"),
    [
        ("10.0.0.0/8", "https://a.example/", "172.16.0.1"),
        ("10.0.0.0/8", "http://a.example/", "10.0.0.1"),
        ("10.0.0.0/8", "https://a.example:25/", "10.0.0.1"),
        ("10.0.0.0/8:8080", "https://a.example/", "10.0.0.1"),
        ("hooks.internal", "https://a.hooks.internal/", "10.0.0.1"),
        ("hooks.internal", "https://ooks.internal/", "10.0.0.1"),
        ("hooks.internal:25", "https://hooks.internal:26/", "10.0.0.1"),
        ("http://hooks.internal:8080", "http://hooks.internal/", PUBLIC),
    ],
)
def test_d4_and_nothing_but_those(allow: str, url: str, address: str) -> None:
    assert refusal(Egress(exempt=parse_exempt(allow)), url, address, livemode=True) is not None


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "a..b",
        "hooks.internal:x",
        "hooks.internal:0",
        "hooks:65536",
        "https://hooks.internal",
        "hooks.internal/x",
        "*.internal",
        "[fd00::/8",
        "[::1]x",
        "1.2.3.4.5",
        "user@hooks.internal",
        "[::1]:",
        "hooks.internal:٢",
    ],
)
def test_an_exception_that_cant_be_read_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="egress_allow") as caught:
        parse_exempt(f"a.example,{text}")

    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_no_exceptions_are_none(text: str) -> None:
    assert parse_exempt(text) == []


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.3.3.3", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_d4_a_server_is_local_if_it_listens_on_loopback(host: str, *, is_local: bool) -> None:
    egress = Egress.of(allow=None, host=host, is_own=lambda _address: False)

    assert (refusal(egress, "http://127.0.0.1:9009/") is None) is is_local


def test_d4_nothing_relies_on_the_flags_of_ipaddress() -> None:
    flags = ("is_private", "is_global", "is_reserved", "is_link_local", "is_multicast")
    for path in (ROOT / "src" / "meterbell" / "delivery").glob("*.py"):
        assert [flag for flag in flags if flag in path.read_text()] == []
