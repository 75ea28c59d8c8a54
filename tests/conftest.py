"""For all tests: Hypothesis profiles, no way out to the network, seeds that can be repeated."""

import ipaddress
import os
import random  # noqa: TID251 - the seed is printed
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.hypothesis_profiles import load_profile

SEED_VARIABLE = "METERBELL_TEST_SEED"

load_profile()

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell's background job ignores interrupts, and so would the commands that tests end by one.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Say how this run can be told apart from another."""
    return f"hypothesis profile: {os.environ.get('HYPOTHESIS_PROFILE', 'quick')}"


def is_local(family: int, address: object) -> bool:
    """Return whether a socket address can't leave this machine."""
    if family == socket.AF_UNIX:
        return True
    if not isinstance(address, tuple) or not isinstance(address[0], str):
        return False
    if address[0] in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    """Fail any test whose own process connects to another machine."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def check(sock: socket.socket, address: object) -> None:
        if not is_local(sock.family, address):
            pytest.fail(f"Tests may connect to this machine only, not to {address!r}.")

    def guarded_connect(sock: socket.socket, address: tuple[str, int]) -> None:
        check(sock, address)
        connect(sock, address)

    def guarded_connect_ex(sock: socket.socket, address: tuple[str, int]) -> int:
        check(sock, address)
        return connect_ex(sock, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        yield


@pytest.fixture
def rng() -> random.Random:
    """Return a random number source; a failing test prints the seed that repeats it."""
    seed = int(os.environ.get(SEED_VARIABLE) or random.SystemRandom().getrandbits(32))
    print(f"Repeat with {SEED_VARIABLE}={seed}")
    return random.Random(seed)
