"""A run of the generator: closed loop or open loop over connections that stay open."""

import asyncio
import time
from array import array
from collections import deque
from pathlib import Path

import numpy as np

from bench.load.connection import Connection
from bench.load.orders import QUANTILES, Measured, Orders
from bench.load.session import open_session
from bench.load.tally import Floats, Tally, write_tally
from bench.load.timer import PreciseTimer
from bench.load.traffic import Block, Traffic
from bench.process import cpu_seconds

_OK, _BAD_REQUEST, _UNAUTHORIZED, _TOO_MANY = 200, 400, 401, 429
_RETRY_SECONDS = 0.005
_GRACE_SECONDS = 60


class Run:
    """Everything between the first request and the last answer."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._key = orders.token
        self._token_stamp = 0
        self._traffic = Traffic(orders)
        self._renew_token()
        self._begun = 0.0
        self._deadline = 0.0
        self._is_open = orders.rate > 0 or bool(orders.phases)
        self._due = _due_times(orders) if self._is_open else np.zeros(0)
        self._due_next = 0
        self._backlog: deque[float] = deque()
        self._idle: deque[Connection] = deque()
        self._in_flight = 0
        self._finished = asyncio.Event()
        self._done_at = array("d")
        self._latency = array("d")
        self._status = array("q")
        self._unsent = 0
        self._failed = 0
        self._duplicates = 0
        self._failure = ""
        self._cpu: list[tuple[float, float]] = []
        self._timer: PreciseTimer | None = None

    async def run(self) -> Measured:
        """Connect, send, wait for the last answer, write the tally."""
        orders, loop = self._orders, asyncio.get_running_loop()
        connections = []
        for _ in range(orders.connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self), orders.host, orders.port
            )
            connections.append(connection)
        self._begun = time.perf_counter()
        measured_from = self._begun + orders.warm_seconds
        self._deadline = measured_from + orders.seconds
        delay = measured_from - self._begun
        loop.call_later(delay, self._read_cpu)
        loop.call_later(delay + orders.seconds, self._end)
        for connection in connections:
            self._free(connection)
        if self._is_open:
            self._due += self._begun
            self._timer = PreciseTimer(self._send_due)
            self._send_due()
        try:
            wait = delay + orders.seconds + _GRACE_SECONDS
            await asyncio.wait_for(self._finished.wait(), wait)
        except TimeoutError:
            self._failed += self._in_flight
            self._failure = self._failure or "answers did not come"
        for connection in connections:
            connection.close()
        return self._measured()

    def answered(self, connection: Connection, status: int, body: bytes) -> None:
        """Take an answer; the connection is free again."""
        now = time.perf_counter()
        block, traffic = connection.block, self._traffic
        assert block is not None, "an answer without a request"
        self._done_at.append(now)
        self._latency.append(now - connection.since)
        self._status.append(status)
        if status == _OK:
            traffic.acknowledge(block, connection.index)
        elif status == _TOO_MANY:
            if self._orders.retry_refused:
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._send, connection)
                return
            traffic.drop(block)
        elif status == _UNAUTHORIZED and self._orders.session_path:
            if connection.stamp == self._token_stamp:
                self._renew_token()
            self._send(connection)
            return
        elif status == _BAD_REQUEST and traffic.batch == 1 and block.numbers[connection.index] < 0:
            self._duplicates += 1
            traffic.acknowledge(block, connection.index)
        else:
            self._fail(f"{status}: {body[:300]!r}")
        connection.block = None
        self._in_flight -= 1
        self._free(connection)

    def lost(self, connection: Connection) -> None:
        """Take note that a connection ended."""
        if connection.block is not None:
            connection.block = None
            self._in_flight -= 1
            self._fail("the connection was closed before the answer")
            self._look_finished()

    def _fail(self, what: str) -> None:
        self._failed += 1
        self._failure = self._failure or what

    def _free(self, connection: Connection) -> None:
        """Give a free connection its next request."""
        if self._is_open:
            if self._backlog:
                self._begin(connection, self._backlog.popleft())
            else:
                self._idle.append(connection)
                self._look_finished()
        else:
            now = time.perf_counter()
            if now < self._deadline:
                self._begin(connection, now)
            else:
                self._look_finished()

    def _begin(self, connection: Connection, since: float) -> None:
        connection.block, connection.index = self._traffic.take()
        connection.since = since
        self._in_flight += 1
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        block: Block | None = connection.block
        if block is not None:
            connection.stamp = self._token_stamp
            connection.send(self._traffic.data(block, connection.index))

    def _send_due(self) -> None:
        """Send what is due; set the timer for what is not."""
        now = time.perf_counter()
        due, at = self._due, self._due_next
        while at < len(due) and due[at] <= now:
            since = float(due[at])
            at += 1
            if self._idle:
                self._begin(self._idle.popleft(), since)
            elif self._orders.sheds:
                self._unsent += 1
            else:
                self._backlog.append(since)
        self._due_next = at
        if at < len(due) and self._timer is not None:
            self._timer.at(float(due[at]))

    def _end(self) -> None:
        self._read_cpu()
        self._unsent += len(self._backlog)
        self._backlog.clear()
        self._look_finished()

    def _look_finished(self) -> None:
        if time.perf_counter() >= self._deadline and not self._in_flight:
            self._finished.set()

    def _read_cpu(self) -> None:
        self._cpu.append((cpu_seconds(self._orders.server_pid), time.process_time()))

    def _renew_token(self) -> None:
        orders = self._orders
        if orders.session_path:
            token = open_session(orders.host, orders.port, orders.session_path, self._key)
            self._traffic.set_token(token)
            self._token_stamp += 1

    def _measured(self) -> Measured:
        """Put the figures together; write the tally."""
        orders = self._orders
        done_at = np.array(self._done_at) - self._begun
        latency, status = np.array(self._latency), np.array(self._status)
        acked = self._traffic.settle()
        tally = Tally(self._traffic.totals, acked, done_at, latency, status)
        write_tally(Path(orders.result), tally)
        is_measured = (done_at >= orders.warm_seconds) & (
            done_at < orders.warm_seconds + orders.seconds
        )
        good = latency[is_measured & ((status == _OK) | (status == _BAD_REQUEST))] * 1000
        events = len(good) * self._traffic.batch
        (server_from, own_from), (server_to, own_to) = self._cpu[0], self._cpu[-1]
        per_event = 1e6 / max(events, 1)
        return Measured(
            seconds=orders.seconds,
            requests=len(good),
            events=events,
            refused=int(np.count_nonzero(status == _TOO_MANY)),
            duplicates=self._duplicates,
            failed=self._failed,
            unsent=self._unsent,
            p50=_quantile(good, 0.5),
            p99=_quantile(good, 0.99),
            p999=_quantile(good, 0.999),
            worst=float(good.max(initial=0)),
            quantiles=[_quantile(good, share) for share in QUANTILES],
            server_cpu=(server_to - server_from) * per_event,
            generator_cpu=(own_to - own_from) * per_event,
            failure=self._failure,
        )


def _due_times(orders: Orders) -> Floats:
    """Return when requests are due, from the beginning on."""
    random = np.random.default_rng(orders.seed + 1)
    phases = orders.phases or [(orders.warm_seconds + orders.seconds, orders.rate)]
    begin, parts = 0.0, []
    for seconds, rate in phases:
        if orders.poisson:
            gaps = random.exponential(1 / rate, size=int(rate * seconds * 1.2) + 100)
            due: Floats = np.cumsum(gaps)
        else:
            due = np.arange(0, seconds, 1 / rate)
        parts.append(begin + due[due < seconds])
        begin += seconds
    return np.concatenate(parts)


def _quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else 0.0
