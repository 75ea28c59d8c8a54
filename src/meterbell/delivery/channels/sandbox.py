"""What the process of one attempt may do: connect where the policy allows, and little else.

Apprise and its services dial by themselves, so the policy is applied where Python itself connects:
by an audit hook, which can't be taken away again. It sees the very address that is dialled, so a
name that leads elsewhere the next time is no way around it (D4).
"""

import os
import resource
import socket
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from meterbell.delivery.addresses import Address

Refusal = Callable[[str | Address, Address | None, int], str | None]
"""Returns why a host at an address and port may not be dialled, or None if it may; the address is
None while it is not known."""

_MEMORY_BYTES_MAX = 1 << 30
_FILES_MAX = 64
_GROUPS = ("os.", "pty.", "shutil.", "subprocess.", "ctypes.", "sqlite3.")
_HARMLESS = frozenset({"os.listdir", "os.scandir"})
_SYSTEM_FILES = (
    "/dev/null",
    "/dev/urandom",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/resolv.conf",
    "/usr/share/zoneinfo/",
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class DeniedError(OSError):
    """Something that an attempt may not do; services take it for any error of the network."""


@dataclass
class Sandbox:
    """Restricts this process, for good, and remembers what was denied.

    Attributes:
        refusal: The egress policy.
        denied: Why something was denied; the first.
        is_address: Whether that was an address.
    """

    refusal: Refusal
    denied: str | None = None
    is_address: bool = False
    _names: dict[Address, set[str]] = field(default_factory=dict)
    _is_deciding: bool = False

    def enter(self, *, seconds: float) -> None:
        """Begin.

        Args:
            seconds: Of the processor's time that may be used.
        """
        limits = {
            resource.RLIMIT_AS: _MEMORY_BYTES_MAX,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_CPU: int(seconds) + 1,
            resource.RLIMIT_FSIZE: 0,
            resource.RLIMIT_NOFILE: _FILES_MAX,
        }
        for kind, limit in limits.items():
            _, hard = resource.getrlimit(kind)
            bounded = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(kind, (bounded, bounded))
        resolve = socket.getaddrinfo

        def getaddrinfo(host: Any, port: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401
            found = resolve(host, port, *args, **more)
            self._check_names(host, found)
            return found

        socket.getaddrinfo = getaddrinfo
        roots = _readable_roots()

        def hook(event: str, args: tuple[Any, ...]) -> None:
            if self._is_deciding:
                return
            if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
                self._check_address(args[0], args[1])
            elif event == "open":
                self._check_file(args[0], args[2], roots)
            elif event.startswith(_GROUPS) and event not in _HARMLESS:
                self._deny(f"{event} is not allowed")

        sys.addaudithook(hook)

    def _deny(self, reason: str, *, is_address: bool = False) -> None:
        if self.denied is None:
            self.denied, self.is_address = reason, is_address
        raise DeniedError(reason)

    def _check_names(self, host: object, found: list[tuple[Any, ...]]) -> None:
        """Deny a name one of whose addresses is denied, whatever the others are."""
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        for *_, address in found:
            parsed = ip_address(address[0].partition("%")[0])
            if isinstance(name, str):
                self._names.setdefault(parsed, set()).add(name.lower().removesuffix("."))
            if address[1]:
                self._decide(parsed, address[1])

    def _check_address(self, sock: socket.socket, address: object) -> None:
        if address is None:
            return  # a datagram on a connected socket
        is_internet = sock.family in (socket.AF_INET, socket.AF_INET6)
        if not is_internet or not isinstance(address, tuple):
            self._deny("only the internet may be reached", is_address=True)
            return
        try:
            parsed = ip_address(str(address[0]).partition("%")[0])
        except ValueError:
            self._deny(f"{str(address[0])[:100]} was not looked up", is_address=True)
            return
        self._decide(parsed, address[1])

    def _decide(self, address: Address, port: int) -> None:
        self._is_deciding = True
        try:
            hosts: set[str | Address] = {*self._names.get(address, ()), address}
            reasons = [self.refusal(host, address, port) for host in hosts]
        finally:
            self._is_deciding = False
        if None not in reasons:
            self._deny(reasons[0] or "", is_address=True)

    def _check_file(self, path: object, flags: object, roots: tuple[str, ...]) -> None:
        if isinstance(path, int):
            return  # it is open already
        name = os.fsdecode(path) if isinstance(path, str | bytes) else ""
        is_written = isinstance(flags, int) and bool(flags & _WRITES)
        if is_written or not os.path.realpath(name).startswith(roots):
            self._deny("files of the server may not be touched")


def _readable_roots() -> tuple[str, ...]:
    """Return where Python itself and its packages are, and what the system tells everybody."""
    paths = sysconfig.get_paths()
    folders = {sys.prefix, sys.base_prefix, paths["stdlib"], paths["purelib"], paths["platlib"]}
    folders |= {str(Path(__file__).parents[2])}
    return (*(f"{os.path.realpath(folder)}/" for folder in sorted(folders)), *_SYSTEM_FILES)
