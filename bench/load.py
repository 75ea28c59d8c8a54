"""The load generator, a process of its own: closed loop over many connections, HTTP/1.1 by hand.

Reads its orders as JSON from stdin and prints what it measured as JSON. It does as little as it can
for each request, because it shares the machine with the server it measures.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import cast

import uvloop
from typing_extensions import override


@dataclass
class Orders:
    """What to send.

    Attributes:
        identifiers: A prefix that no other run used; each request gets an identifier of its own.
    """

    host: str
    port: int
    key: str
    path: str
    connections: int
    seconds: float
    customers: int
    identifiers: str


@dataclass
class Measured:
    """What came back; times in milliseconds."""

    requests: int
    failed: int
    seconds: float
    p50: float
    p99: float
    p999: float


def request_bytes(orders: Orders, connection: int, number: int) -> bytes:
    """Return one usage request as it goes over the wire."""
    body = (
        f"event_name=requests&identifier={orders.identifiers}-{connection}-{number}"
        f"&payload[stripe_customer_id]=cus_{(connection * 7919 + number) % orders.customers}"
        "&payload[value]=1"
    )
    return (
        f"POST {orders.path} HTTP/1.1\r\nHost: {orders.host}\r\nAuthorization: Bearer {orders.key}"
        "\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Client(asyncio.Protocol):
    """One connection: sends the next request when the answer to the last one is whole."""

    def __init__(self, orders: Orders, number: int, deadline: float) -> None:
        self._orders = orders
        self._number = number
        self._deadline = deadline
        self._sent = 0
        self._buffer = b""
        self._begun = 0.0
        self.latencies: list[float] = []
        self.failed = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    @override
    def data_received(self, data: bytes) -> None:
        """Take in answers; they end with the length that their header names."""
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        length = int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        if len(self._buffer) < head_end + 4 + length:
            return
        self._buffer = self._buffer[head_end + 4 + length :]
        now = time.perf_counter()
        self.latencies.append(now - self._begun)
        self.failed += not head.startswith(b"http/1.1 200")
        if now < self._deadline:
            self._send()
        else:
            self._transport.close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """End, well or not."""
        self.failed += exc is not None
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        request = request_bytes(self._orders, self._number, self._sent)
        self._sent += 1
        self._begun = time.perf_counter()
        self._transport.write(request)


async def run(orders: Orders) -> Measured:
    """Send until the time is up."""
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    deadline = begun + orders.seconds
    clients: list[Client] = []
    for number in range(orders.connections):
        _, client = await loop.create_connection(
            lambda number=number: Client(orders, number, deadline),  # type: ignore[misc]
            orders.host,
            orders.port,
        )
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    seconds = time.perf_counter() - begun
    latencies = sorted(latency for client in clients for latency in client.latencies)
    return Measured(
        requests=len(latencies),
        failed=sum(client.failed for client in clients),
        seconds=seconds,
        p50=percentile(latencies, 0.5),
        p99=percentile(latencies, 0.99),
        p999=percentile(latencies, 0.999),
    )


def percentile(ordered: list[float], share: float) -> float:
    """Return a percentile of ascending seconds, in milliseconds."""
    return 1000 * ordered[min(int(len(ordered) * share), len(ordered) - 1)]


if __name__ == "__main__":
    measured = uvloop.run(run(Orders(**json.load(sys.stdin))))
    json.dump(asdict(measured), sys.stdout)
