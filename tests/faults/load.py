"""Clients that report usage until they are told to stop, and remember what they were promised."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random  # noqa: TID251 - seeded, so that a failure can be repeated
from typing import NamedTuple
from urllib.parse import urlencode

from typing_extensions import override

TIMEOUT_SECONDS = 20
_HOUR = 3600
CUSTOMERS = tuple(f"cus_{number}" for number in range(12))


class Usage(NamedTuple):
    """One meter event as a client reports it, some late by hours."""

    identifier: str
    customer: str
    value: str
    timestamp: int


@dataclass
class Promises:
    """What the clients sent and what they were told.

    Attributes:
        sent: By identifier.
        acknowledged: Identifiers that got a 200, or "exists already" when sent again; as keys.
        open: Identifiers without an answer: counted or not, nobody knows.
    """

    sent: dict[str, Usage] = field(default_factory=dict)
    acknowledged: dict[str, None] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def recent(self, count: int, random: Random) -> list[Usage]:
        """Return some acknowledged events, at most `count`."""
        with self.lock:
            known = list(self.acknowledged)
        return [self.sent[name] for name in random.sample(known, min(count, len(known)))]

    def take(self, usages: Sequence[Usage]) -> None:
        """Note that events were acknowledged."""
        with self.lock:
            for usage in usages:
                self.open.discard(usage.identifier)
                self.acknowledged[usage.identifier] = None


Send = Callable[[http.client.HTTPConnection, str, Sequence[Usage]], tuple[int, object]]
"""Reports meter events in one request over a connection with a key; returns status and body."""


class Way(NamedTuple):
    """How clients report usage.

    Attributes:
        open_key: Returns the key to send with, from a connection and the server's secret key.
        send: Reports a batch.
        batch_max: Meter events in one request.
    """

    open_key: Callable[[http.client.HTTPConnection, str], str]
    send: Send
    batch_max: int


def _send_single(
    connection: http.client.HTTPConnection, key: str, usages: Sequence[Usage]
) -> tuple[int, object]:
    """Report one meter event to the v1 API."""
    (usage,) = usages
    body = urlencode(
        {
            "event_name": "api_requests",
            "identifier": usage.identifier,
            "payload[stripe_customer_id]": usage.customer,
            "payload[value]": usage.value,
            "timestamp": usage.timestamp,
        }
    )
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    connection.request("POST", "/v1/billing/meter_events", body, headers)
    return _answer(connection)


def _send_stream(
    connection: http.client.HTTPConnection, token: str, usages: Sequence[Usage]
) -> tuple[int, object]:
    """Report meter events in one request of the v2 stream."""
    events = [
        {
            "event_name": "api_requests",
            "identifier": usage.identifier,
            "payload": {"stripe_customer_id": usage.customer, "value": usage.value},
            "timestamp": datetime.fromtimestamp(usage.timestamp, UTC).isoformat(),
        }
        for usage in usages
    ]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"events": events})
    connection.request("POST", "/v2/billing/meter_event_stream", body, headers)
    return _answer(connection)


def _open_session(connection: http.client.HTTPConnection, key: str) -> str:
    """Return the token of a new session."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", "/v2/billing/meter_event_session", "{}", headers)
    status, body = _answer(connection)
    assert status == http.HTTPStatus.OK, body
    assert isinstance(body, dict)
    return str(body["authentication_token"])


def _answer(connection: http.client.HTTPConnection) -> tuple[int, object]:
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


SINGLE = Way(lambda _connection, key: key, _send_single, 1)
STREAM = Way(_open_session, _send_stream, 40)


class Client(threading.Thread):
    """Reports usage over one connection until the server is gone or `stop` is set.

    Where a request holds many meter events, every third is half new and half a repeat of what was
    acknowledged, with one identifier twice.
    """

    def __init__(
        self,
        *,
        way: Way,
        port: int,
        key: str,
        promises: Promises,
        name: str,
        seed: int,
        on_acknowledged: Callable[[], None],
        stop: threading.Event,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._way = way
        self._port = port
        self._key = key
        self._promises = promises
        self._random = Random(seed)
        self._on_acknowledged = on_acknowledged
        self._halt = stop
        self._number = 0
        self.refused: list[object] = []

    @override
    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
        try:
            key = self._way.open_key(connection, self._key)
            while not self._halt.is_set():
                usages = self._batch()
                status, body = self._way.send(connection, key, usages)
                if status == http.HTTPStatus.OK:
                    self._promises.take(usages)
                    self._on_acknowledged()
                elif status != http.HTTPStatus.SERVICE_UNAVAILABLE:
                    self.refused.append((status, body))
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            pass  # killed: what was sent last stays open
        finally:
            connection.close()

    def _batch(self) -> list[Usage]:
        count = self._random.randint(1, self._way.batch_max)
        usages = [self._new() for _ in range(count)]
        with self._promises.lock:
            for usage in usages:
                self._promises.sent[usage.identifier] = usage
                self._promises.open.add(usage.identifier)
        if count > 1 and self._random.randrange(3) == 0:
            return mixed(usages, self._promises, self._random)
        return usages

    def _new(self) -> Usage:
        self._number += 1
        customer = self._random.choice(CUSTOMERS)
        value = f"{self._random.randrange(3)}.{self._random.randrange(100):02}"
        late = self._random.choice((0, 0, 0, 1, 2)) * _HOUR
        timestamp = int(time.time()) - late  # noqa: TID251 - the server's clock
        return Usage(f"{self.name}-{self._number}", customer, value, timestamp)


def mixed(usages: Sequence[Usage], promises: Promises, random: Random) -> list[Usage]:
    """Return a batch with as many acknowledged events again, and one event twice."""
    batch = [*usages, *promises.recent(len(usages), random), random.choice(usages)]
    random.shuffle(batch)
    return batch


def settle(port: int, key: str, promises: Promises, way: Way, random: Random) -> None:
    """Send everything without an answer again, as a client would; it must count exactly once."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    key = way.open_key(connection, key)
    waiting = [promises.sent[identifier] for identifier in sorted(promises.open)]
    for start in range(0, len(waiting), way.batch_max):
        usages = waiting[start : start + way.batch_max]
        again = usages if way.batch_max == 1 else mixed(usages, promises, random)
        status, body = way.send(connection, key, again)
        exists = status == http.HTTPStatus.BAD_REQUEST and "already exists" in json.dumps(body)
        assert status == http.HTTPStatus.OK or (exists and way is SINGLE), (status, body)
        promises.take(usages)
    assert not promises.open
    connection.close()
