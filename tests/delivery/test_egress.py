"""No connection to an address that is denied: seen by those who listen there, and by the system.

What the product says of itself is not evidence here. Traps listen on addresses of this machine, and
every connection that the process opens is noted by the interpreter's audit hook.
"""

import asyncio
import random  # noqa: TID251 - the seed is printed
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from meterbell.delivery.egress import Egress, parse_exempt
from meterbell.delivery.lookup import Lookup
from meterbell.delivery.sender import Sender
from tests.delivery.receiver import Receiver, always, receiving
from tests.support.url_forms import ADDRESSES, url_forms

SIGNED = {"Stripe-Signature": "t=1,v1=a"}
ALLOWED, DENIED = "127.0.0.1", "127.0.0.2"
STRICT = Egress()
FLIPS = 1000


class Connections:
    """The addresses that this process connects to, while it is looked at.

    Attributes:
        seen: In order; None while nobody looks.
    """

    seen: list[Any] | None = None

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.seen is not None and event == "socket.connect":
            self.seen.append(arguments[1])


connections = Connections()
# It can't be taken away again, so there is one for all tests.
sys.addaudithook(connections.note)


@contextmanager
def noted_connections() -> Iterator[list[Any]]:
    """Give the list of addresses that are connected to inside."""
    seen: list[Any] = []
    connections.seen = seen
    try:
        yield seen
    finally:
        connections.seen = None


@asynccontextmanager
async def trap(port: int, *hosts: str) -> AsyncIterator[list[str]]:
    """Listen on a port of some addresses; give the list of those that were connected to."""
    caught: list[str] = []

    def connected(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caught.append(writer.get_extra_info("sockname")[0])
        writer.close()

    servers = [await asyncio.start_server(connected, host, port) for host in hosts]
    try:
        yield caught
    finally:
        for server in servers:
            server.close()


def strict_lookup() -> Lookup:
    """Return a lookup that knows the names among the forms, and no other."""

    def resolve(name: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        if name not in ADDRESSES:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(0, 0, 0, "", (address, 0)) for address in ADDRESSES[name]]

    return Lookup(resolve)


def loopbacks() -> list[str]:
    """Return the loopback addresses that this machine has."""
    found = ["127.0.0.1", "127.0.0.2"]
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            found.append("::1")
    except OSError:
        pass
    return found


async def test_d4_no_spelling_of_a_denied_address_is_dialled() -> None:
    sender = Sender(timeout_seconds=20, egress=STRICT, lookup=strict_lookup())
    async with receiving() as receiver:
        port = receiver.port
    forms = url_forms(port)
    assert len(set(forms)) >= 150
    async with trap(port, *loopbacks()) as caught:
        with noted_connections() as dialled:
            for form in forms:
                for livemode in (False, True):
                    outcome = await sender.send(form, livemode=livemode, body=b"{}", headers=SIGNED)
                    assert outcome.text in {"address_denied", "bad_url"}, form
        assert (dialled, caught) == ([], [])

        # The traps work: a lenient policy leads into them.
        lenient = Sender(timeout_seconds=20, egress=Egress(is_local=True), lookup=strict_lookup())
        with noted_connections() as dialled:
            await lenient.send(f"http://127.1:{port}/", livemode=False, body=b"{}", headers=SIGNED)
        assert dialled == [("127.0.0.1", port)]
        assert caught == ["127.0.0.1"]


def flipping(rng: random.Random) -> tuple[Lookup, list[list[str]]]:
    """Return a lookup whose every answer is another, and the list of its answers."""
    answers: list[list[str]] = []

    def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
        answers.append(
            rng.choice([[ALLOWED], [DENIED], [ALLOWED, DENIED], [DENIED, ALLOWED], [ALLOWED] * 2])
            if answers and answers[-1] == [ALLOWED]
            else [ALLOWED]
        )
        return [(0, 0, 0, "", (address, 0)) for address in answers[-1]]

    return Lookup(resolve), answers


async def test_d4_a_name_that_flips_and_redirects_never_leads_to_a_denied_address(
    rng: random.Random,
) -> None:
    """The first answer is allowed and the next is not: whoever asks twice is caught."""
    lookup, answers = flipping(rng)
    egress = Egress(exempt=parse_exempt(ALLOWED))
    sender = Sender(timeout_seconds=20, egress=egress, lookup=lookup)
    async with receiving() as receiver, trap(receiver.port, DENIED) as caught:
        port = receiver.port
        receiver.answer = always(
            rng.choice([301, 302, 303, 307, 308]), b"", Location=f"http://{DENIED}:{port}/"
        )
        with noted_connections() as dialled:
            outcomes = [
                (
                    await sender.send(
                        f"http://flip.example:{port}/", livemode=False, body=b"{}", headers=SIGNED
                    )
                ).text
                for _ in range(FLIPS)
            ]

        assert caught == []
        assert set(dialled) == {(ALLOWED, port)}
        assert len(answers) == FLIPS
        expected = ["address_denied" if DENIED in answer else "redirect" for answer in answers]
        assert outcomes == expected
        assert expected.count("address_denied") > FLIPS / 10
        assert len(dialled) == len(receiver.received) == expected.count("redirect")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_d4_a_redirect_is_no_way_around(status: int) -> None:
    sender = Sender(
        timeout_seconds=20, egress=Egress(exempt=parse_exempt(ALLOWED)), lookup=strict_lookup()
    )
    async with receiving() as receiver, trap(receiver.port, DENIED) as caught:
        for form in url_forms(receiver.port)[:40]:
            if form.isascii():
                await redirected(receiver, sender, status=status, location=form)

        assert caught == []


async def redirected(receiver: Receiver, sender: Sender, *, status: int, location: str) -> None:
    """Make an attempt that is answered with a redirect."""
    receiver.answer = always(status, b"", Location=location)
    with noted_connections() as dialled:
        outcome = await sender.send(receiver.url, livemode=False, body=b"{}", headers=SIGNED)
    assert (outcome.text, outcome.status_code) == ("redirect", status)
    assert dialled == [(ALLOWED, receiver.port)]
