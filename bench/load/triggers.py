"""Trigger latency: sends crossing events and takes the webhooks, in one process with one clock.

`python -m bench.load.triggers` reads `ProbeOrders` from stdin and prints `Crossed`. Each event is
of a customer that gets no other usage and reaches the lowest threshold.
"""

import asyncio
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import uvloop
from msgspec import Struct
from typing_extensions import override

from bench.load.orders import Kind
from bench.load.session import open_session
from bench.load.tally import Tally, write_tally
from bench.load.traffic import UNIT, customer_id, event_name

_OK = 200
_GRACE_SECONDS = 30
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class ProbeOrders(Struct, kw_only=True):
    """What to send.

    Attributes:
        kind: Each crossing event is a v1 request, or a v2 batch of one.
        receiver_port: Where webhooks come in.
        first: Number of the first customer; `count` of them are used, one after the other.
        rate: Events a second, evenly spaced.
        gte: The threshold, which each event just reaches.
        result: File for the tally.
    """

    port: int
    receiver_port: int
    kind: Kind
    path: str
    token: str
    session_path: str
    run: str
    first: int
    count: int
    rate: float
    gte: int
    customers: int
    meters: int
    result: str


class Crossed(Struct, kw_only=True):
    """What came back: milliseconds from sending, by event; -1 for what never came."""

    answered: list[float]
    received: list[float]
    failed: int = 0


class _Alert(Struct):
    customer: str


class _Object(Struct):
    object: _Alert


class _Webhook(Struct):
    data: _Object


class _Messages(asyncio.Protocol):
    """Splits what comes in into messages: head and body."""

    def __init__(self, probe: "Probe") -> None:
        self._rest = b""
        self._probe = probe

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (head_end := self._rest.find(_HEAD_END)) >= 0:
            head = self._rest[:head_end].lower()
            length = int(head.partition(_LENGTH)[2].partition(b"\r")[0])
            end = head_end + len(_HEAD_END) + length
            if len(self._rest) < end:
                return
            body, self._rest = self._rest[head_end + len(_HEAD_END) : end], self._rest[end:]
            self.message(head, body)

    def message(self, head: bytes, body: bytes) -> None:
        """Take a message."""


class _Webhooks(_Messages):
    """A connection on which webhooks come in."""

    @override
    def message(self, head: bytes, body: bytes) -> None:
        now = time.perf_counter()
        self.transport.write(_ANSWER)
        self._probe.received(msgspec.json.decode(body, type=_Webhook).data.object.customer, now)


class _Answers(_Messages):
    """The connection on which events go out, one after the other."""

    @override
    def message(self, head: bytes, body: bytes) -> None:
        self._probe.answered(time.perf_counter(), is_ok=head.startswith(b"http/1.1 200"))


class Probe:
    """Sends, and matches what comes back."""

    def __init__(self, orders: ProbeOrders) -> None:
        self._orders = orders
        self._numbers = {
            customer_id(orders.first + number): number for number in range(orders.count)
        }
        self._sent = np.zeros(orders.count)
        self._waiting = 0
        self._missing = orders.count
        self._is_free = asyncio.Event()
        self._is_free.set()
        self._is_complete = asyncio.Event()
        self._answered = np.full(orders.count, -1.0)
        self._received = np.full(orders.count, -1.0)
        self._acked = np.zeros(orders.count, dtype=np.uint8)
        self._failed = 0

    async def run(self) -> Crossed:
        """Send everything, wait for the webhooks."""
        orders, loop = self._orders, asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: _Webhooks(self), "127.0.0.1", orders.receiver_port
        )
        token = orders.token
        if orders.session_path:
            token = open_session("127.0.0.1", orders.port, orders.session_path, token)
        _, answers = await loop.create_connection(lambda: _Answers(self), "127.0.0.1", orders.port)
        begun = time.perf_counter()
        for number in range(orders.count):
            await asyncio.sleep(begun + number / orders.rate - time.perf_counter())
            # One at a time, so that answers need no matching.
            await asyncio.wait_for(self._is_free.wait(), _GRACE_SECONDS)
            self._is_free.clear()
            request = self._request(number, token)
            self._waiting = number
            self._sent[number] = time.perf_counter()
            answers.transport.write(request)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_complete.wait(), _GRACE_SECONDS)
        server.close()
        self._write()
        return Crossed(
            answered=self._answered.tolist(), received=self._received.tolist(), failed=self._failed
        )

    def received(self, customer: str, now: float) -> None:
        """Take a webhook; those of other customers belong to the load beside."""
        number = self._numbers.get(customer)
        if number is not None and self._received[number] < 0:
            self._received[number] = 1000 * (now - self._sent[number])
            self._missing -= 1
            if not self._missing:
                self._is_complete.set()

    def answered(self, now: float, *, is_ok: bool) -> None:
        """Take the answer to an event."""
        number = self._waiting
        self._answered[number] = 1000 * (now - self._sent[number])
        self._acked[number] = is_ok
        self._failed += not is_ok
        self._is_free.set()

    def _request(self, number: int, token: str) -> bytes:
        orders = self._orders
        customer = customer_id(orders.first + number)
        identifier = f"{orders.run}-{number:012}"
        if orders.kind == "v2":
            kind = "application/json"
            payload = {"stripe_customer_id": customer, "value": str(orders.gte)}
            event = {"event_name": event_name(0), "identifier": identifier, "payload": payload}
            body = msgspec.json.encode({"events": [event]})
        else:
            kind = "application/x-www-form-urlencoded"
            body = (
                f"event_name={event_name(0)}&payload[stripe_customer_id]={customer}"
                f"&payload[value]={orders.gte}&identifier={identifier}"
            ).encode()
        head = (
            f"POST {orders.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def _write(self) -> None:
        """Write the tally, as the generator does."""
        orders = self._orders
        totals = np.zeros(orders.meters * orders.customers, dtype=np.int64)
        totals[orders.first : orders.first + orders.count] = self._acked.astype(np.int64) * (
            orders.gte * UNIT
        )
        nothing = np.zeros(0)
        write_tally(
            Path(orders.result),
            Tally(totals, self._acked, nothing, nothing, nothing.astype(np.int64)),
        )


async def _main() -> None:
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=ProbeOrders)
    sys.stdout.buffer.write(msgspec.json.encode(await Probe(orders).run()))


if __name__ == "__main__":
    uvloop.run(_main())
