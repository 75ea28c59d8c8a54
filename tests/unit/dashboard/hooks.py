"""Webhook endpoints and what came of their deliveries, for tests of pages."""

from meterbell.ledger.transaction import Transaction
from meterbell.records import Attempt, Delivery
from meterbell.store import tables
from tests.unit.api.running import Api

LIST = "/dashboard/test/webhooks"
URL = "https://example.com/webhook"
HARM = "</pre><script>alert(1)</script>\"'"


async def endpoint_of(api: Api, *, url: str = URL, events: str = "*") -> str:
    """Make an endpoint and return its id."""
    params = {"url": url, "enabled_events": [events]}
    return str((await api.made("/v1/webhook_endpoints", params))["id"])


async def attempt(api: Api, *numbers: int, outcome: str = "status_500", ms: int = 12) -> None:
    """Let deliveries have an attempt; those that fail have failed for good."""

    def command(transaction: Transaction) -> None:
        for number in numbers:
            transaction.objects.insert(
                Attempt(
                    delivery=number,
                    attempt=1,
                    started_at_ms=api.clock.now_ms(),
                    duration_ms=ms,
                    outcome=outcome,
                    status_code=None,
                    response=HARM.encode() + b"\xff",
                )
            )
            transaction.objects.update(
                Delivery,
                tables.delivery.c.number == number,
                status="succeeded" if outcome == "succeeded" else "failed",
                attempts=1,
                next_attempt_at_ms=None,
            )

    await api.services.committer.execute(command)
