"""The events of a run: which customer, meter, value and identifier, and their bytes.

Events are made in blocks. A block knows which of its requests were acknowledged; the tally is taken
from that, never from what was sent.
"""

import json

import numpy as np
from numpy.typing import NDArray

from bench.load.orders import Orders
from bench.load.template import Bytes, Numbers, Template

UNIT = 1000
"""Tallies count thousandths, so that values with decimals are exact."""

_BLOCK_EVENTS = 1600
_RANDOM_AHEAD = 64
_HOT_CUSTOMERS = 10
_ZIPF_EXPONENT = 1.1
_ZIPF_STEP = 7919
CUSTOMER_DIGITS = 8
NUMBER_DIGITS = 12


def customer_id(number: int) -> str:
    """Return the id of a customer."""
    return f"cus_{number:0{CUSTOMER_DIGITS}}"


def event_name(meter: int) -> str:
    """Return the event name of a meter."""
    return f"bench_{meter:02}"


class Block:
    """Some requests that were made together.

    Attributes:
        pairs: By event: meter times the number of customers, plus customer.
        values: By event, in thousandths.
        numbers: By event: its identifier's number; -1 for a repeat of an earlier event.
        acked: By request.
    """

    __slots__ = ("acked", "numbers", "pairs", "rows", "values", "view", "waiting")

    def __init__(self, rows: Bytes, pairs: Numbers, values: Numbers, numbers: Numbers) -> None:
        self.rows = rows
        self.view = rows.reshape(-1).data.cast("B")
        self.pairs = pairs
        self.values = values
        self.numbers = numbers
        self.acked: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self.waiting = 0


class Traffic:
    """An endless supply of requests, and the tally of those that were acknowledged.

    Attributes:
        totals: Acknowledged usage by pair, in thousandths.
    """

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._random = np.random.default_rng(orders.seed)
        self._batch = orders.batch if orders.kind == "v2" else 1
        self._per_block = max(_BLOCK_EVENTS // self._batch, 1)
        self._template = Template(_v2_row(orders) if orders.kind == "v2" else _v1_request(orders))
        self._head, self._tail = b"", b""
        if orders.kind == "v2":
            self.set_token(orders.token)
        self._made = 0
        self._block: Block | None = None
        self._next = self._per_block
        self._repeatable: Block | None = None
        self._open: set[Block] = set()
        self.totals: Numbers = np.zeros(orders.meters * orders.customers, dtype=np.int64)
        self._acked_numbers: list[Numbers] = []
        self._customers = np.zeros(0, dtype=np.int64)
        self._customers_used = 0
        self._zipf = (
            _zipf_table(orders.customers - orders.quiet) if orders.spread == "zipf" else None
        )

    @property
    def batch(self) -> int:
        """Events in a request."""
        return self._batch

    @property
    def made(self) -> int:
        """How many identifiers were used."""
        return self._made

    def set_token(self, token: str) -> None:
        """Use a token from the next request on; for v2."""
        orders = self._orders
        length = len(_V2_HEAD) + self._batch * self._template.width - 1 + len(_V2_TAIL)
        head = _head(orders, token, "application/json", length)
        self._head, self._tail = head.encode() + _V2_HEAD, _V2_TAIL

    def take(self) -> tuple[Block, int]:
        """Return the next request: its block and its place there."""
        block, index = self._block, self._next
        if block is None or index == self._per_block:
            block, index = self._make(), 0
            self._block = block
        self._next = index + 1
        return block, index

    def data(self, block: Block, index: int) -> bytes:
        """Return a request's bytes."""
        width = self._template.width * self._batch
        start = index * width
        if self._tail:
            return b"".join((self._head, block.view[start : start + width - 1], self._tail))
        return bytes(block.view[start : start + width])

    def acknowledge(self, block: Block, index: int) -> None:
        """Count a request as acknowledged."""
        block.acked[index] = True
        block.waiting -= 1
        if not block.waiting:
            self._settle(block)
            if block.acked.all():
                self._repeatable = block

    def drop(self, block: Block) -> None:
        """Give up a request that was refused; it is not counted."""
        block.waiting -= 1
        if not block.waiting:
            self._settle(block)

    def settle(self) -> Bytes:
        """Count what is left; return 1 by identifier number for each acknowledged event."""
        for block in list(self._open):
            self._settle(block)
        outcome = np.zeros(self._made, dtype=np.uint8)
        if self._acked_numbers:
            outcome[np.concatenate(self._acked_numbers)] = 1
        return outcome

    def _settle(self, block: Block) -> None:
        self._open.discard(block)
        counts = np.repeat(block.acked, self._batch) & (block.numbers >= 0)
        np.add.at(self.totals, block.pairs[counts], block.values[counts])
        self._acked_numbers.append(block.numbers[counts])

    def _make(self) -> Block:
        """Make the next block."""
        orders, count = self._orders, self._per_block * self._batch
        customers = self._draw_customers(count)
        meters = self._random.integers(orders.meters, size=count)
        values = self._random.integers(1, 10 * UNIT if orders.decimals else 10, size=count)
        numbers = np.arange(self._made, self._made + count, dtype=np.int64)
        self._made += count
        template, rows = self._template, self._template.rows(count)
        template.fill(rows, "number", numbers)
        template.fill(rows, "customer", customers)
        template.fill(rows, "meter", meters)
        if orders.decimals:
            template.fill(rows, "whole", values // UNIT)
            template.fill(rows, "part", values % UNIT)
        else:
            template.fill(rows, "whole", values)
            values = values * UNIT
        if orders.resent and self._repeatable is not None:
            _repeat(rows, numbers, self._repeatable, self._random, orders.resent)
        block = Block(rows, meters * orders.customers + customers, values, numbers)
        block.acked = np.zeros(self._per_block, dtype=np.bool_)
        block.waiting = self._per_block
        self._open.add(block)
        return block

    def _draw_customers(self, count: int) -> Numbers:
        """Draw customers; ahead of time, for draws are cheaper by the thousand."""
        if self._customers_used + count > len(self._customers):
            self._customers = self._customers_of(count * _RANDOM_AHEAD)
            self._customers_used = 0
        drawn = self._customers[self._customers_used : self._customers_used + count]
        self._customers_used += count
        return drawn

    def _customers_of(self, count: int) -> Numbers:
        orders = self._orders
        active = orders.customers - orders.quiet
        if self._zipf is not None:
            ranks = np.searchsorted(self._zipf, self._random.random(count), side="right")
            # Neighbours in rank need not be neighbours by name.
            return (ranks * _ZIPF_STEP) % active
        drawn = self._random.integers(active, size=count)
        if orders.spread == "hot":
            hot = self._random.random(count) < orders.hot_share
            drawn[hot] %= min(_HOT_CUSTOMERS, active)
        return drawn


def _repeat(
    rows: Bytes, numbers: Numbers, earlier: Block, random: np.random.Generator, share: float
) -> None:
    """Replace a share of the rows by exact repeats of acknowledged ones."""
    repeats = np.flatnonzero(random.random(len(rows)) < share)
    rows[repeats] = earlier.rows[random.integers(len(earlier.rows), size=len(repeats))]
    numbers[repeats] = -1


def _zipf_table(customers: int) -> NDArray[np.float64]:
    """Return the cumulated shares of customers by rank."""
    weights = np.arange(1, customers + 1, dtype=np.float64) ** -_ZIPF_EXPONENT
    shares: NDArray[np.float64] = np.cumsum(weights)
    shares /= shares[-1]
    shares[-1] = 1
    return shares


_VERSION = "2026-10-28.endive"
_V2_HEAD = b'{"events":['
_V2_TAIL = b"]}"


def _v2_row(orders: Orders) -> str:
    event = {
        "event_name": "bench_<meter:2>",
        "identifier": f"{orders.run}-<number:{NUMBER_DIGITS}>",
        "payload": {
            "stripe_customer_id": f"cus_<customer:{CUSTOMER_DIGITS}>",
            "value": _value(orders),
        },
    }
    return json.dumps(event, separators=(",", ":")) + ","


def _v1_request(orders: Orders) -> str:
    """Return a whole request with the fields in it; the body as the SDK writes it."""
    identifier = f"{orders.run}-<number:{NUMBER_DIGITS}>"
    body = (
        f"event_name=bench_<meter:2>&payload[stripe_customer_id]=cus_<customer:{CUSTOMER_DIGITS}>"
        f"&payload[value]={_value(orders)}&identifier={identifier}"
    )
    key = f"Idempotency-Key: {identifier}\r\n" if orders.idempotency_key else ""
    form = "application/x-www-form-urlencoded"
    return _head(orders, orders.token, form, Template(body).width, key) + body


def _value(orders: Orders) -> str:
    return "<whole:1>.<part:3>" if orders.decimals else "<whole:1>"


def _head(orders: Orders, token: str, content_type: str, length: int, more: str = "") -> str:
    return (
        f"POST {orders.path} HTTP/1.1\r\nHost: {orders.host}:{orders.port}\r\n"
        f"Authorization: Bearer {token}\r\nUser-Agent: bench\r\nStripe-Version: {_VERSION}"
        f"\r\n{more}Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    )
