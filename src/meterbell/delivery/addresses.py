"""Which addresses of the internet are special, from the registries of IANA. Rule D4, pure.

`ipaddress` has flags for this, but on Python 3.11 they call many of these addresses global: NAT64,
6to4, multicast, deprecated site-local ones. So here is a table, each line with its source:

- IPv4: the special-purpose address registry (RFC 6890 and what updates it), and the multicast
  address space registry.
- IPv6: the special-purpose address registry; and the address space registry, in which nothing but
  2000::/3 is global unicast.
- What is special without a registry: metadata services of clouds at addresses of their own, and
  ranges that carry an IPv4 address in them.
"""

from bisect import bisect_right
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import NamedTuple

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Special(NamedTuple):
    """A range of addresses that is not for everybody, what it is for, and who says so."""

    network: str
    name: str
    source: str


IPV4 = (
    Special("0.0.0.0/8", "this network", "RFC 791"),
    Special("10.0.0.0/8", "private use", "RFC 1918"),
    Special("100.64.0.0/10", "shared by a carrier (metadata services among them)", "RFC 6598"),
    Special("127.0.0.0/8", "loopback", "RFC 1122"),
    Special("168.63.129.16/32", "the metadata service of Azure", "Azure's manual"),
    Special("169.254.0.0/16", "link-local (metadata services among them)", "RFC 3927"),
    Special("172.16.0.0/12", "private use", "RFC 1918"),
    Special("192.0.0.0/24", "protocol assignments", "RFC 6890"),
    Special("192.0.2.0/24", "documentation", "RFC 5737"),
    Special("192.31.196.0/24", "AS112, answers for private names", "RFC 7535"),
    Special("192.52.193.0/24", "automatic multicast tunnels", "RFC 7450"),
    Special("192.88.99.0/24", "6to4 relays", "RFC 7526"),
    Special("192.168.0.0/16", "private use", "RFC 1918"),
    Special("192.175.48.0/24", "AS112, answers for private names", "RFC 7534"),
    Special("198.18.0.0/15", "benchmarks", "RFC 2544"),
    Special("198.51.100.0/24", "documentation", "RFC 5737"),
    Special("203.0.113.0/24", "documentation", "RFC 5737"),
    Special("224.0.0.0/4", "multicast", "RFC 5771"),
    Special("240.0.0.0/4", "reserved", "RFC 1112"),
    Special("255.255.255.255/32", "broadcast", "RFC 8190"),
)

IPV6 = (
    Special("::/3", "not global unicast", "IPv6 address space registry"),
    Special("::/96", "an IPv4 address in it, deprecated", "RFC 4291"),
    Special("::/128", "unspecified", "RFC 4291"),
    Special("::1/128", "loopback", "RFC 4291"),
    Special("::ffff:0:0/96", "an IPv4 address in it, mapped", "RFC 4291"),
    Special("::ffff:0:0:0/96", "an IPv4 address in it, translated", "RFC 2765"),
    Special("64:ff9b::/96", "an IPv4 address behind NAT64", "RFC 6052"),
    Special("64:ff9b:1::/48", "an IPv4 address behind NAT64", "RFC 8215"),
    Special("100::/64", "discarded", "RFC 6666"),
    Special("100:0:0:1::/64", "dummy", "RFC 9780"),
    Special("2001::/23", "protocol assignments", "RFC 2928"),
    Special("2001::/32", "an IPv4 address behind Teredo", "RFC 4380"),
    Special("2001:2::/48", "benchmarks", "RFC 5180"),
    Special("2001:10::/28", "ORCHID, deprecated", "RFC 4843"),
    Special("2001:20::/28", "ORCHIDv2", "RFC 7343"),
    Special("2001:30::/28", "drone remote identification", "RFC 9374"),
    Special("2001:db8::/32", "documentation", "RFC 3849"),
    Special("2002::/16", "an IPv4 address behind 6to4", "RFC 3056"),
    Special("2620:4f:8000::/48", "AS112, answers for private names", "RFC 7534"),
    Special("3fff::/20", "documentation", "RFC 9637"),
    Special("4000::/2", "not global unicast", "IPv6 address space registry"),
    Special("5f00::/16", "identifiers of segment routing", "RFC 9602"),
    Special("8000::/1", "not global unicast", "IPv6 address space registry"),
    Special("fc00::/7", "private use (metadata services among them)", "RFC 4193"),
    Special("fe80::/10", "link-local", "RFC 4291"),
    Special("fec0::/10", "site-local, deprecated", "RFC 3879"),
    Special("ff00::/8", "multicast", "RFC 4291"),
)


class _Ranges:
    """Specials of one family: whether a number is in one takes one search."""

    def __init__(self, table: tuple[Special, ...]) -> None:
        pairs = [(ip_network(special.network), special) for special in table]
        self._narrowest_first = sorted(pairs, key=lambda pair: -pair[0].prefixlen)
        self._begins: list[int] = []
        self._ends: list[int] = []
        bounds = [(int(net.network_address), int(net.broadcast_address)) for net, _ in pairs]
        for begin, end in sorted(bounds):
            if self._ends and begin <= self._ends[-1] + 1:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._begins.append(begin)
                self._ends.append(end)

    def holds(self, number: int) -> bool:
        place = bisect_right(self._begins, number) - 1
        return place >= 0 and number <= self._ends[place]

    def name(self, address: Address) -> Special:
        return next(special for network, special in self._narrowest_first if address in network)


_RANGES = {4: _Ranges(IPV4), 6: _Ranges(IPV6)}
_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


def find_special(address: Address) -> Special | None:
    """Return the narrowest special range that an address is in; None for an ordinary address."""
    ranges = _RANGES[address.version]
    return ranges.name(address) if ranges.holds(int(address)) else None


def is_loopback(address: Address) -> bool:
    """Return whether an address is this machine under any circumstances."""
    return any(address in network for network in _LOOPBACK)


def unmapped(address: Address) -> Address:
    """Return the IPv4 address that a mapped one (`::ffff:1.2.3.4`) is to the system, or itself."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
