"""Special addresses: the table agrees with one written another way, from the same registries."""

import random  # noqa: TID251 - the seed is printed
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import numpy as np
import pytest
from numpy.typing import NDArray

from meterbell.delivery.addresses import (
    IPV4,
    IPV6,
    Special,
    find_special,
    is_loopback,
    unmapped,
)

Numbers = NDArray[np.uint64]
Flags = NDArray[np.bool_]
HALF = 2**64 - 1


def within(numbers: Numbers, low: int, high: int) -> Flags:
    return (numbers >= np.uint64(low)) & (numbers <= np.uint64(high))


def special_v4(numbers: Numbers) -> Flags:
    """Return what the registries of IANA say of IPv4 addresses, in bytes and pairs of bytes."""
    byte = numbers >> np.uint64(24)
    pair = numbers >> np.uint64(16)
    triple = numbers >> np.uint64(8)
    found: Flags = (
        np.isin(byte, [0, 10, 127])
        | (byte >= 224)
        | within(pair, 0x6440, 0x647F)  # 100.64 to 100.127
        | np.isin(pair, [0xA9FE, 0xC0A8, 0xC612, 0xC613])  # 169.254, 192.168, 198.18, 198.19
        | within(pair, 0xAC10, 0xAC1F)  # 172.16 to 172.31
        | np.isin(
            triple,
            [0xC00000, 0xC00002, 0xC01FC4, 0xC034C1, 0xC05863, 0xC0AF30, 0xC63364, 0xCB0071],
        )
        | (numbers == 0xA83F8110)  # 168.63.129.16
    )
    return found


def special_v6(high: Numbers) -> Flags:
    """Return what they say of the upper halves of IPv6 addresses; lower halves don't matter.

    All that matters in the lower half lies outside of 2000::/3, where everything is special.
    """
    first = high >> np.uint64(48)
    two = high >> np.uint64(32)
    three = high >> np.uint64(16)
    found: Flags = (
        (first < 0x2000)
        | (first > 0x3FFF)
        | within(two, 0x20010000, 0x200101FF)
        | (two == 0x20010DB8)
        | (first == 0x2002)
        | (three == 0x2620004F8000)
        | within(two, 0x3FFF0000, 0x3FFF0FFF)
    )
    return found


def boundaries(table: tuple[Special, ...]) -> list[int]:
    """Return the first and last addresses of ranges, and those beside them."""
    found = []
    for special in table:
        network = ip_network(special.network)
        first, last = int(network.network_address), int(network.broadcast_address)
        found += [first - 1, first, first + 1, last - 1, last, last + 1]
    return [number for number in found if number >= 0]


def test_d4_a_million_addresses_agree_with_a_table_written_another_way(rng: random.Random) -> None:
    ends = boundaries(IPV4)
    v4 = [rng.getrandbits(32) for _ in range(430_000)]
    v4 += [rng.choice(ends) + rng.randrange(-300, 300) for _ in range(200_000)] + ends
    v4 = [number for number in v4 if 0 <= number < 2**32]
    edges = boundaries(IPV6)
    # Uniformly drawn ones would nearly all be outside of 2000::/3.
    v6 = [rng.getrandbits(128) for _ in range(100_000)]
    v6 += [(1 << 125) | rng.getrandbits(125) for _ in range(100_000)]
    v6 += [rng.choice(edges) ^ rng.getrandbits(rng.randrange(1, 100)) for _ in range(200_000)]
    v6 = [number for number in [*v6, *edges] if number < 2**128]
    assert len(v4) + len(v6) >= 1_000_000

    found_v4 = np.array([find_special(IPv4Address(number)) is not None for number in v4])
    found_v6 = np.array([find_special(IPv6Address(number)) is not None for number in v6])

    assert np.array_equal(found_v4, special_v4(np.array(v4, np.uint64)))
    assert np.array_equal(found_v6, special_v6(np.array([n >> 64 for n in v6], np.uint64)))
    assert 0.1 < np.mean(found_v4) < 0.9
    assert 0.1 < np.mean(found_v6) < 0.9


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("0.0.0.0", "this network"),
        ("10.1.2.3", "private use"),
        ("100.100.100.200", "metadata"),
        ("127.0.0.1", "loopback"),
        ("168.63.129.16", "Azure"),
        ("169.254.169.254", "metadata"),
        ("192.0.0.192", "protocol assignments"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::127.0.0.1", "IPv4"),
        ("::ffff:127.0.0.1", "mapped"),
        ("::ffff:0:127.0.0.1", "translated"),
        ("64:ff9b::7f00:1", "NAT64"),
        ("64:ff9b:1::7f00:1", "NAT64"),
        ("2001:0:7f00:1::", "Teredo"),
        ("2002:7f00:1::", "6to4"),
        ("fd00:ec2::254", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("fe80::1%lo", "link-local"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
    ],
)
def test_d4_a_special_address_is_named_by_its_narrowest_range(address: str, name: str) -> None:
    special = find_special(ip_address(address))

    assert special is not None
    assert name in special.name
    assert special.source


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "2a00:1450::1"])
def test_d4_ordinary_addresses_are_none_of_them(address: str) -> None:
    assert find_special(ip_address(address)) is None
    assert not is_loopback(ip_address(address))


def test_a_mapped_address_is_the_one_in_it() -> None:
    assert unmapped(ip_address("::ffff:8.8.8.8")) == ip_address("8.8.8.8")
    assert unmapped(ip_address("2600::1")) == ip_address("2600::1")
    assert unmapped(ip_address("8.8.8.8")) == ip_address("8.8.8.8")
    assert is_loopback(ip_address("127.255.255.255"))
    assert is_loopback(ip_address("::1"))
