"""Clients that report usage until they are told to stop, and remember what they were promised."""

import http.client
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random  # noqa: TID251 - seeded, so that a failure can be repeated
from urllib.parse import urlencode

from typing_extensions import override

TIMEOUT_SECONDS = 20
CUSTOMERS = tuple(f"cus_{number}" for number in range(12))


@dataclass
class Promises:
    """What the clients sent and what they were told.

    Attributes:
        sent: By identifier: customer and value.
        acknowledged: Identifiers that got a 200, or "exists already" when sent again.
        open: Identifiers without an answer: counted or not, nobody knows.
    """

    sent: dict[str, tuple[str, str]] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


def post_usage(
    connection: http.client.HTTPConnection, key: str, identifier: str, customer: str, value: str
) -> tuple[int, dict[str, object]]:
    """Report one meter event; return status and body."""
    body = urlencode(
        {
            "event_name": "api_requests",
            "identifier": identifier,
            "payload[stripe_customer_id]": customer,
            "payload[value]": value,
        }
    )
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    connection.request("POST", "/v1/billing/meter_events", body, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


class Client(threading.Thread):
    """Reports usage over one connection until the server is gone or `stop` is set."""

    def __init__(
        self,
        *,
        port: int,
        key: str,
        promises: Promises,
        name: str,
        seed: int,
        on_acknowledged: Callable[[], None],
        stop: threading.Event,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._port = port
        self._key = key
        self._promises = promises
        self._random = Random(seed)
        self._on_acknowledged = on_acknowledged
        self._halt = stop
        self.refused: list[object] = []

    @override
    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
        number = 0
        try:
            while not self._halt.is_set():
                identifier = f"{self.name}-{number}"
                number += 1
                customer = self._random.choice(CUSTOMERS)
                value = f"{self._random.randrange(3)}.{self._random.randrange(100):02}"
                with self._promises.lock:
                    self._promises.sent[identifier] = (customer, value)
                    self._promises.open.add(identifier)
                status, body = post_usage(connection, self._key, identifier, customer, value)
                self._take(identifier, status, body)
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            pass  # killed: what was sent last stays open
        finally:
            connection.close()

    def _take(self, identifier: str, status: int, body: object) -> None:
        if status == http.HTTPStatus.OK:
            with self._promises.lock:
                self._promises.open.discard(identifier)
                self._promises.acknowledged.add(identifier)
            self._on_acknowledged()
        elif status != http.HTTPStatus.SERVICE_UNAVAILABLE:
            self.refused.append((status, body))


def settle(port: int, key: str, promises: Promises) -> None:
    """Send everything without an answer again, as a client would; it must count exactly once."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    for identifier in sorted(promises.open):
        customer, value = promises.sent[identifier]
        status, body = post_usage(connection, key, identifier, customer, value)
        exists = status == http.HTTPStatus.BAD_REQUEST and "already exists" in json.dumps(body)
        assert status == http.HTTPStatus.OK or exists, (status, body)
        promises.acknowledged.add(identifier)
    promises.open.clear()
    connection.close()
