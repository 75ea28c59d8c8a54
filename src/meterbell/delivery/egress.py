"""Where webhooks may be sent: the egress policy. Rule D4, pure.

What is decided is an address, the very one that is dialled: a name says nothing about where it
leads next time. Denied by default are all special addresses and those of this machine; the setting
`egress_allow` names exceptions.
"""

from collections.abc import Callable, Collection, Sequence
from ipaddress import ip_address, ip_network
from typing import NamedTuple, Self

from meterbell.delivery.addresses import Address, Network, find_special, is_loopback, unmapped
from meterbell.delivery.target import Target, parse_host
from meterbell.errors import SettingsError

_SYSTEM_PORTS_END = 1024
_WEB_PORTS = (80, 443)
_PLAIN = "http://"
_PORT_MAX = 65_535
_ASK = "The setting egress_allow can name exceptions."


class Exempt(NamedTuple):
    """An exception from the policy.

    Attributes:
        place: The name of a host, or a range of addresses.
        port: The only port it is for, which may be one below 1024; None for the ordinary ports.
        may_be_plain: Whether live mode may use plain http there.
    """

    place: str | Network
    port: int | None
    may_be_plain: bool

    def covers(self, target: Target, address: Address | None) -> bool:
        """Return whether it is about a connection."""
        if self.port is not None and self.port != target.port:
            return False
        if isinstance(self.place, str):
            return self.place == target.host
        return address is not None and address in self.place


class Egress:
    """Decides whether a connection may be made."""

    def __init__(
        self,
        *,
        exempt: Sequence[Exempt] = (),
        is_local: bool = False,
        is_own: Callable[[Address], bool] = is_loopback,
        system_ports: Collection[int] = _WEB_PORTS,
    ) -> None:
        """Prepare.

        Args:
            exempt: Exceptions.
            is_local: Whether the server listens on loopback only; then test mode may reach this
                machine, for it is a developer's.
            is_own: Returns whether an address is this machine's.
            system_ports: Which ports below 1024 may be used.
        """
        self._system_ports = frozenset(system_ports)
        self.exempt = tuple(exempt)
        self._is_local = is_local
        self._is_own = is_own

    @classmethod
    def of(
        cls,
        *,
        allow: str | None,
        host: str,
        is_own: Callable[[Address], bool],
        system_ports: Collection[int] = _WEB_PORTS,
    ) -> Self:
        """Return the policy that settings ask for.

        Args:
            allow: The setting `egress_allow`.
            host: The address that the server listens on.
            is_own: Returns whether an address is this machine's.
            system_ports: Which ports below 1024 may be used.

        Raises:
            SettingsError: An exception in them can't be read.
        """
        exempt = parse_exempt(allow or "")
        return cls(
            exempt=exempt,
            is_local=_is_loopback_host(host),
            is_own=is_own,
            system_ports=system_ports,
        )

    def refusal(self, target: Target, address: Address | None, *, livemode: bool) -> str | None:
        """Return why a connection may not be made, or None if it may.

        Args:
            target: What the URL says.
            address: What would be dialled; None while that is not known.
            livemode: The endpoint's mode.
        """
        address = None if address is None else unmapped(address)
        exempt = [one for one in self.exempt if one.covers(target, address)]
        if livemode and target.scheme != "https" and not any(one.may_be_plain for one in exempt):
            return "an endpoint in live mode must use https."
        has_port = any(one.port is not None for one in exempt)
        is_system = target.port < _SYSTEM_PORTS_END and target.port not in self._system_ports
        if is_system and not has_port:
            ports = ", ".join(map(str, sorted(self._system_ports)))
            return (
                f"port {target.port} belongs to another service. Of the ports below 1024, "
                f"{ports} may be used. {_ASK}"
            )
        if address is None or exempt:
            return None
        return self._refusal_of(address, livemode=livemode)

    def _refusal_of(self, address: Address, *, livemode: bool) -> str | None:
        special = find_special(address)
        if is_loopback(address) or self._is_own(address):
            if self._is_local and not livemode:
                return None
            return (
                f"{address} is this machine itself, which test mode may reach while the server "
                f"listens on loopback only. {_ASK}"
            )
        if special is not None:
            return f"{address} is not public: {special.name} ({special.source}). {_ASK}"
        return None


def parse_exempt(text: str) -> list[Exempt]:
    """Return the exceptions that the setting `egress_allow` lists, with commas between.

    Raises:
        SettingsError: One of them can't be read; names it.
    """
    entries = [entry.strip() for entry in text.split(",")]
    return [_parse_entry(entry) for entry in entries if entry]


def _parse_entry(entry: str) -> Exempt:
    may_be_plain = entry.lower().startswith(_PLAIN)
    rest = entry[len(_PLAIN) :] if may_be_plain else entry
    try:
        place, port = _place_and_port(rest)
        return Exempt(_parse_place(place), port, may_be_plain)
    except ValueError as error:
        raise SettingsError(
            f"egress_allow can't be read: {entry!r} is no name of a host, no address and no range "
            "of addresses such as 10.0.0.0/8, with or without a port (hooks.internal:25, "
            "[fd00::/8]:25)."
        ) from error


def _place_and_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        place, bracket, rest = text[1:].partition("]")
        if bracket and not rest:
            return place, None
        colon, port = rest[:1], rest[1:]
    elif text.count(":") == 1:
        place, colon, port = text.partition(":")
    else:
        return text, None
    if colon != ":" or not (port.isascii() and port.isdecimal() and 0 < int(port) <= _PORT_MAX):
        raise ValueError("no port")
    return place, int(port)


def _parse_place(text: str) -> str | Network:
    if "/" in text or ":" in text:
        return ip_network(text)
    host = parse_host(text)
    return host if isinstance(host, str) else ip_network(str(host))


def _is_loopback_host(host: str) -> bool:
    try:
        return is_loopback(ip_address(host))
    except ValueError:
        return False
