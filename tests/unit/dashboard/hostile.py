"""A world in which everybody who could write a text wrote one that would be HTML, and its twin.

The twin holds the same objects with plain texts. What a page makes of both must have the same
elements with the same attributes: else a text became more than text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlsplit

from typing_extensions import override

from meterbell.ledger.transaction import Transaction
from meterbell.records import ApiKey, Attempt, AuditEntry, Delivery, EndpointHealth, RequestEntry
from tests.builders import NOW
from tests.support.dashboard import LISTS, NUMBERED, World
from tests.unit.api.running import Api

HARM = (
    "</title></textarea></style></script>-->\"'`><script>harm()</script>"
    "<img src=x onerror=harm()><b data-harm>{{ 7 * 7 }}"
)
SCRIPT = "javascript:harm()//"
PLACES = ("href", "src", "action", "formaction", "hx-get", "hx-post", "hx-sse:connect")


class Outline(HTMLParser):
    """What a page is made of, whatever it says.

    Attributes:
        parts: Each element with the names of its attributes, in order.
        fields: Names that forms send and links ask for.
        places: Where links, forms and scripts lead.
    """

    def __init__(self, html: str) -> None:
        """Read a page."""
        super().__init__()
        self.parts: list[str] = []
        self.fields: set[str] = set()
        self.places: list[str] = []
        self.feed(html)
        self.close()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        # What is chosen is the same in both worlds; what stands in a class is a word of ours.
        self.parts.append(f"{tag} {' '.join(sorted(given))} {given.get('class') or ''}")
        if tag in ("input", "select", "textarea", "button"):
            self.fields.add(given.get("name") or "")
        for name in PLACES:
            if place := given.get(name):
                self.places.append(place)
                self.fields |= {key for key, _ in parse_qsl(urlsplit(place).query)}

    @override
    def handle_endtag(self, tag: str) -> None:
        self.parts.append(f"/{tag}")

    @override
    def handle_comment(self, data: str) -> None:
        self.parts.append("comment")


@dataclass
class Writer:
    """Writes everything that people and programs can write.

    Attributes:
        harm: Stands behind each text; empty in the twin.
    """

    api: Api
    harm: str
    script: str

    def text(self, plain: str, length_max: int = 5000) -> str:
        """Return a text with the harm in it."""
        return f"{plain}{self.harm}"[:length_max]

    async def write(self) -> World:
        """Make one of everything; return examples for the paths of pages."""
        await self._usage()
        await self._delivery()
        await self.api.services.committer.execute(self._rest)
        lists = {section: await self.api.got(path) for section, path in LISTS.items()}
        found = {section: listed["data"][0]["id"] for section, listed in lists.items()}
        return NUMBERED | found | {"keys": "key_1", "meter-events": "3"}

    async def _usage(self) -> None:
        name, api = self.text("requests", 100), self.api
        customer = await api.made(
            "/v1/customers",
            {
                "id": "cus_a",
                "name": self.text("Name", 256),
                "email": self.text("a@example.com", 512),
                "description": self.text("Description"),
                "metadata": {self.text("key", 40): self.text("value", 500)},
                "address": {"line1": self.text("Street"), "city": self.text("City")},
            },
        )
        meter = await api.made(
            "/v1/billing/meters",
            {
                "display_name": self.text("Requests", 250),
                "event_name": name,
                "default_aggregation": {"formula": "sum"},
            },
        )
        await self._channel()
        for gte in (10, 1000):
            given = {
                "alert_type": "usage_threshold",
                "title": self.text("Much", 256),
                "usage_threshold": {"meter": meter["id"], "gte": gte, "recurrence": "one_time"},
            }
            await api.made("/v1/billing/alerts", given)
        await self._endpoint()
        for number in range(2):
            payload = {
                "stripe_customer_id": customer["id"],
                "value": "12",
                self.text("dimension", 100): self.text("of it", 100),
            }
            given = {
                "event_name": name,
                "identifier": self.text(f"{number}", 100),
                "payload": payload,
            }
            await api.made("/v1/billing/meter_events", given)
        await api.get(f"/v1/{self.text('path')}", headers={"user-agent": self.text("agent")})

    async def _channel(self) -> None:
        given = {
            "name": self.text("Channel", 100),
            "url": "jsons://8.8.8.8/hook",
            "title": self.harm.replace("{", "").replace("}", "") or "Title",
            "body": self.harm.replace("{", "").replace("}", "") or "Body",
        }
        await self.api.made("/v1/notification_channels", given)

    async def _endpoint(self) -> None:
        given = {
            "url": f"https://8.8.8.8/hook?{self.harm.replace(' ', '')}",
            "enabled_events": ["*"],
            "description": self.text("Endpoint"),
            "metadata": {self.text("key", 40): self.text("value", 500)},
        }
        await self.api.made("/v1/webhook_endpoints", given)

    async def _delivery(self) -> None:
        """Let every delivery have failed with an answer."""
        deliveries = self.api.services.store.reader.fetch_all(Delivery, status="pending")

        def command(changes: Transaction) -> None:
            for delivery in deliveries:
                changes.objects.insert(
                    Attempt(
                        delivery=delivery.number,
                        attempt=1,
                        started_at_ms=NOW * 1000,
                        duration_ms=5,
                        outcome="status",
                        status_code=500,
                        response=self.text("Answer").encode(),
                    )
                )

        await self.api.services.committer.execute(command)

    def _rest(self, changes: Transaction) -> None:
        """Write what comes by other ways than the API."""
        (endpoint,) = {
            delivery.endpoint
            for delivery in changes.objects.fetch_all(Delivery, status="pending")
            if delivery.endpoint.startswith("we_")
        }
        now = NOW * 1000
        changes.objects.put(EndpointHealth(endpoint=endpoint, failures=7, failing_since_ms=now))
        changes.objects.insert(
            AuditEntry(
                at_ms=now,
                livemode=False,
                actor=self.text("ada"),
                action=self.text("alert.create"),
                object=self.text("alrt_1"),
                address=self.text("127.0.0.1"),
                details={self.text("key"): self.text("value"), "url": self.script},
            )
        )
        changes.objects.insert(
            ApiKey(
                id="key_1",
                livemode=False,
                name=self.text("Key"),
                permission="all",
                digest=b"digest",
                last4="1234",
                created=NOW,
                expires_at=None,
                revoked_at=None,
            )
        )
        changes.objects.insert(
            RequestEntry(
                id="req_1",
                livemode=False,
                created_ms=now,
                method="GET",
                path=self.text("/v1/path"),
                status=404,
                duration_us=900,
                error_type="invalid_request_error",
                error_message=self.text("No such thing"),
                error_param=self.text("param"),
            )
        )


def filled(names: set[str], text: str) -> Mapping[str, str]:
    """Return a text for every field."""
    return dict.fromkeys(sorted(names - {"", "csrf"}), text)
