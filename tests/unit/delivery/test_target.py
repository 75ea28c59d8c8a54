"""URLs are read as browsers read them, or refused."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbell.delivery.target import Target, parse_target

LOOPBACK = ip_address("127.0.0.1")


@pytest.mark.parametrize(
    ("url", "target", "host_header"),
    [
        ("http://a.example", Target("http", "a.example", 80, "/"), "a.example"),
        ("HTTPS://A.Example./x?y=%7B", Target("https", "a.example", 443, "/x?y=%7B"), "a.example"),
        ("https://a.example:80?q#f", Target("https", "a.example", 80, "/?q"), "a.example:80"),
        ("http://a_b.example:/", Target("http", "a_b.example", 80, "/"), "a_b.example"),
        ("http://hooks:8080/{a}|", Target("http", "hooks", 8080, "/%7Ba%7D%7C"), "hooks:8080"),
        ("http://[2600::A]:443/", Target("http", ip_address("2600::a"), 443, "/"), "[2600::a]:443"),
        ("http://8.8.8.8/a@b", Target("http", ip_address("8.8.8.8"), 80, "/a@b"), "8.8.8.8"),
    ],
)
def test_a_plain_url_says_where_to_go(url: str, target: Target, host_header: str) -> None:
    assert parse_target(url) == target
    assert target.host_header == host_header


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7F.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "127.0x0.0.1",
        "127.00.0.1",
        "0x7f.0.1",
        "127.0.0x.1",
    ],
)
def test_d4_an_ipv4_address_is_known_in_all_its_spellings(host: str) -> None:
    assert parse_target(f"http://{host}/").host == LOOPBACK


@pytest.mark.parametrize(
    "host",
    [
        "256.0.0.1",
        "1.2.3.4.5",
        "08.0.0.1",
        "0x7g.1",
        "4294967296",
        "127.0.0.256",
        "a.1",
        "a.0x1f",
        "1..2",
        ".1",
        "1e3.5",
        "-1",
        "9" * 400,
    ],
)
def test_d4_a_host_that_ends_in_a_number_is_an_ipv4_address_or_nothing(host: str) -> None:
    with pytest.raises(ValueError, match="names a host"):
        parse_target(f"http://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http:",
        "http:/a.example",
        "http:a.example",
        "//a.example/",
        "ftp://a.example/",
        "http://",
        "http:///a",
        "http://?a",
        "http://:80/",
        "http://a.example:0/",
        "http://a.example:65536/",
        "http://a.example:+80/",
        "http://a.example:80:80/",
        "http://user@a.example/",
        "http://:@a.example/",
        "http://a.example\\@b.example/",
        "http:\\\\a.example/",
        "http://a.example/\\",
        "http://a .example/",
        "http://a.example/ ",
        "http://a\t.example/",
        "http://a\n.example/",
        "http://a\x00.example/",
        "http://\u2460.example/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://127\u30020\u30020\u30021/",
        "http://%31%32%37.0.0.1/",
        "http://a%2eexample/",
        "http://127.0.0.1%00.example/",
        "http://a..example/",
        "http://.a.example/",
        "http://a.example../",
        "http://-a.example/",
        "http://a-.example/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 127 + "example/",
        "http://a*b.example/",
        "http://a,b.example/",
        "http://[::1/",
        "http://::1/",
        "http://[::1]x/",
        "http://[::1%25lo]/",
        "http://[fe80::1%lo]/",
        "http://[127.0.0.1]/",
        "http://[]/",
        "http://[::ffff:256.0.0.1]/",
    ],
)
def test_d4_what_readers_disagree_about_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"it (begins|names|holds|may not)"):
        parse_target(url)


@pytest.mark.parametrize(
    "url", ["http://a.example#@127.0.0.1/", "http://a.example/@127.0.0.1/", "http://a.example?@b/"]
)
def test_d4_what_only_looks_like_another_host_is_none(url: str) -> None:
    assert parse_target(url).host == "a.example"


@given(st.text(max_size=40) | st.from_regex(r"https?://[\x20-\x7e]{0,40}", fullmatch=True))
def test_any_text_is_a_target_or_refused(url: str) -> None:
    try:
        target = parse_target(url)
    except ValueError:
        return
    assert target.path.startswith("/")
    assert target.path.isascii()
    assert not set(target.path) & set(' \t\r\n"<>\\^`{|}')
    assert 0 < target.port < 65_536
