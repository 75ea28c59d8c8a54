"""URLs of endpoints, read as the WHATWG URL standard says, but less forgiving. Pure.

Who reads a URL differently from who dials it can be led astray: `http://0x7f.1/` is loopback to
most. So a host whose last label is a number is an IPv4 address in all its spellings, or refused;
and what readers disagree about (backslashes, user names, escapes in a host) is refused.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Literal, NamedTuple
from urllib.parse import quote

from meterbell.delivery.addresses import Address

_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE)
_PRINTABLE = re.compile(r"[\x21-\x7e]*")
_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{0,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DECIMAL, _OCTAL = re.compile(r"[0-9]+"), re.compile(r"[0-7]*")
# What the standard would escape in a path and a query, and nothing else.
_SAFE = "!#$%&'()*+,-./:;=?@[]_~"
_NAME_MAX = 253
_NUMBER_LENGTH_MAX = 24
_PORT_MAX = 65_535
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """Where a URL leads.

    Attributes:
        host: A name in lower case, without a dot at its end, or an address.
        path: With the query, as it stands in a request.
    """

    scheme: Literal["http", "https"]
    host: str | Address
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """What the request's `Host` header says."""
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_target(url: str) -> Target:
    """Return where a URL leads.

    Raises:
        ValueError: It is no absolute http(s) URL, or not a plain one; says why.
    """
    if not _PRINTABLE.fullmatch(url):
        raise ValueError("it holds blanks or characters that a URL must percent-encode.")
    if "\\" in url:
        raise ValueError("it holds a backslash.")
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("it begins with http:// or https:// and names a host.")
    scheme, authority, rest = match.groups()
    if "@" in authority:
        raise ValueError("it may not hold a user name or password. The signature proves who sends.")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None or not parts[1]:
        raise ValueError("it names a host, and maybe a port after a colon.")
    is_secure = scheme.lower() == "https"
    return Target(
        "https" if is_secure else "http",
        parse_host(parts[1]),
        _port(parts[2], default=443 if is_secure else 80),
        quote(rest if rest.startswith("/") else f"/{rest}", safe=_SAFE),
    )


def parse_host(text: str) -> str | Address:
    """Return an address, or a name in lower case.

    Raises:
        ValueError: It is neither; says why.
    """
    if text.startswith("["):
        return _ipv6(text)
    host = text.lower().removesuffix(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(labels)
    if len(host) > _NAME_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"it names a host, and {text[:100]} can't be one.")
    return host


def _ipv6(text: str) -> IPv6Address:
    try:
        address = IPv6Address(text[1:-1])
    except AddressValueError as error:
        raise ValueError(f"it names a host, and {text[:100]} is no IPv6 address.") from error
    if address.scope_id is not None:
        raise ValueError(f"it names a host, and {text[:100]} is good on one machine only.")
    return address


def _ipv4(labels: list[str]) -> IPv4Address:
    """Return the address that one to four numbers stand for; the last one fills what is left."""
    numbers = [_parse_number(label) for label in labels]
    *leading, last = numbers
    if (
        len(numbers) > 4  # noqa: PLR2004 - an IPv4 address has four bytes
        or any(number > 255 for number in leading)  # noqa: PLR2004
        or last >= 256 ** (5 - len(numbers))
    ):
        raise ValueError(f"it names a host, and {'.'.join(labels)[:100]} is no IPv4 address.")
    return IPv4Address(
        sum(number << (24 - 8 * place) for place, number in enumerate(leading)) + last
    )


def _parse_number(text: str) -> int:
    if len(text) <= _NUMBER_LENGTH_MAX:
        if text.startswith("0x") and _NUMBER.fullmatch(text):
            return int(text[2:] or "0", 16)
        if text.startswith("0") and _OCTAL.fullmatch(text):
            return int(text, 8)
        if not text.startswith("0") and _DECIMAL.fullmatch(text):
            return int(text)
    raise ValueError(f"it names a host, and {text[:100]} is no part of an IPv4 address.")


def _port(text: str | None, *, default: int) -> int:
    port = int(text) if text else default
    if not 0 < port <= _PORT_MAX:
        raise ValueError(f"it names a host, and {port} is no port.")
    return port
