"""The demo's story: usage, alerts, webhooks, and what must not happen."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

import stripe

from meterbell.cli.connection import Target
from meterbell.cli.demo_server import Receiver, Webhook
from meterbell.cli.sending import Summary, send_all
from meterbell.cli.usage_file import Usage

_EVENT_NAME = "api_requests"
_TRIGGERED: Final = "billing.alert.triggered"
_THRESHOLD = 100
_MANY = 1000
_ALERTS_PER_SCOPE = 25
_FAR = 1_000_000_000
_WEBHOOK_SECONDS_MAX = 15.0
_CONCURRENCY = 16

Step = Callable[[str], AbstractContextManager[dict[str, str]]]


class UnexpectedError(Exception):
    """The server did not do what it promises."""


def expect(condition: bool, what: str) -> None:  # noqa: FBT001 - reads like an assertion
    """Go on if something is as it should be.

    Raises:
        UnexpectedError: It is not.
    """
    if not condition:
        raise UnexpectedError(what)


class Story:
    """One run against one empty server."""

    def __init__(
        self, client: stripe.StripeClient, receiver: Receiver, *, url: str, key: str, step: Step
    ) -> None:
        """Prepare.

        Args:
            client: The official SDK, pointed at the server.
            receiver: A webhook endpoint that runs.
            url: The server's address.
            key: A test key.
            step: Opens a step with a title; takes notes.
        """
        self._client = client
        self._receiver = receiver
        self._url = url
        self._key = key
        self._step = step
        self._meter = ""
        self._alert = ""

    def tell(self) -> None:
        """Do everything in order.

        Raises:
            UnexpectedError: The server did not do what it promises.
        """
        self._set_up()
        self._below_the_threshold()
        self._at_the_threshold()
        self._above_the_threshold()
        self._another_customer()
        self._a_later_alert()
        self._switched_off_and_on()
        self._archived()
        self._too_many_alerts()
        self._nothing_else_came()

    def _set_up(self) -> None:
        with self._step("A server, a webhook endpoint, a meter, and an alert at 100") as notes:
            notes["server"] = self._url
            endpoint = self._client.v1.webhook_endpoints.create(
                {"url": self._receiver.url, "enabled_events": [_TRIGGERED]}
            )
            expect(bool(endpoint.secret), "a new endpoint must come with its signing secret")
            self._receiver.secret = endpoint.secret or ""
            notes["webhook endpoint"] = self._receiver.url
            self._meter = self._client.v1.billing.meters.create(
                {
                    "display_name": "API requests",
                    "event_name": _EVENT_NAME,
                    "default_aggregation": {"formula": "sum"},
                    "customer_mapping": {
                        "type": "by_id",
                        "event_payload_key": "stripe_customer_id",
                    },
                    "value_settings": {"event_payload_key": "value"},
                }
            ).id
            self._alert = self._create_alert("100 requests", _THRESHOLD)
            notes["alert"] = f"{self._alert}: any customer who reaches {_THRESHOLD}"
            for name in ("ada", "bob", "cy", "dee"):
                self._client.v1.customers.create(
                    {"name": name.title()} | {"id": f"cus_{name}"}  # type: ignore[arg-type]
                )

    def _below_the_threshold(self) -> None:
        with self._step("Ada makes 99 requests: nothing happens") as notes:
            begun = time.perf_counter()
            for _ in range(_THRESHOLD - 1):
                self._report("cus_ada", 1)
            took = time.perf_counter() - begun
            self._expect_triggers(0)
            notes["usage"] = f"99 reports, one by one, {took / 99 * 1000:.1f} ms each on disk"

    def _at_the_threshold(self) -> None:
        with self._step("Her 100th request: one webhook, at once") as notes:
            begun = time.perf_counter()
            self._report("cus_ada", 1)
            acknowledged = time.perf_counter()
            webhook = self._expect_webhook(self._alert, "cus_ada", value=100)
            self._expect_triggers(1)
            notes["webhook"] = f"{webhook.event.id}, signature accepted by the Stripe SDK"
            notes["value"] = "100"
            after = (webhook.arrived_at - acknowledged) * 1000
            notes["latency"] = (
                f"{(webhook.arrived_at - begun) * 1000:.1f} ms after the report was sent, "
                f"{abs(after):.1f} ms {'after' if after >= 0 else 'before'} it was acknowledged"
            )

    def _above_the_threshold(self) -> None:
        with self._step("1,000 more requests at full speed: nothing more happens") as notes:
            summary = Summary()
            begun = time.perf_counter()
            asyncio.run(self._report_many("cus_ada", _MANY, summary))
            rate = _MANY / (time.perf_counter() - begun)
            expect(summary.counted == _MANY, f"{summary.counted} of {_MANY} reports were counted")
            self._expect_triggers(1)
            notes["usage"] = f"1,000 reports, {rate:,.0f} a second"

    def _another_customer(self) -> None:
        with self._step("Bob uses 150 at one stroke: a webhook of his own") as notes:
            self._report("cus_bob", 150)
            webhook = self._expect_webhook(self._alert, "cus_bob", value=150)
            self._expect_triggers(2)
            notes["webhook"] = f"{webhook.event.id}, value 150"

    def _a_later_alert(self) -> None:
        with self._step("An alert created later ignores earlier usage") as notes:
            later = self._create_alert("100 more", _THRESHOLD, customer="cus_ada")
            self._report("cus_ada", 99)
            self._expect_triggers(2)
            self._report("cus_ada", 1)
            self._expect_webhook(later, "cus_ada", value=100)
            self._expect_triggers(3)
            notes["usage"] = "1,100 before it did not count; the next 100 did"

    def _switched_off_and_on(self) -> None:
        with self._step("A deactivated alert is silent; activated, it goes by the next usage") as n:
            alert = self._create_alert("10 requests", 10, customer="cus_cy")
            self._client.v1.billing.alerts.deactivate(alert)
            self._report("cus_cy", 10)
            self._client.v1.billing.alerts.activate(alert)
            self._expect_triggers(3)
            self._report("cus_cy", 1)
            self._expect_webhook(alert, "cus_cy", value=11)
            self._expect_triggers(4)
            n["value"] = "11: usage counted while it was off"

    def _archived(self) -> None:
        with self._step("An archived alert is gone for good") as notes:
            alert = self._create_alert("10 requests", 10, customer="cus_dee")
            self._client.v1.billing.alerts.archive(alert)
            self._report("cus_dee", 50)
            self._expect_triggers(4)
            listed = [found.id for found in self._client.v1.billing.alerts.list({"limit": 100})]
            expect(alert not in listed, "an archived alert must not be listed")
            try:
                self._client.v1.billing.alerts.activate(alert)
            except stripe.InvalidRequestError as error:
                notes["activate"] = f"refused: {error.user_message}"
            else:
                raise UnexpectedError("an archived alert could be activated")

    def _too_many_alerts(self) -> None:
        with self._step("25 alerts for any customer; the 26th is refused") as notes:
            for number in range(2, _ALERTS_PER_SCOPE + 1):
                self._create_alert(f"Alert {number}", _FAR + number)
            try:
                self._create_alert("One too many", _FAR)
            except stripe.InvalidRequestError as error:
                notes["26th"] = f"refused: {error.user_message}"
                words = str(error.user_message)
                expect("25" in words, f"the refusal must name the limit, but says: {words}")
            else:
                raise UnexpectedError("a 26th alert was accepted in one scope")
            other = self._create_alert("Another scope", _FAR, customer="cus_bob")
            notes["another scope"] = f"{other} for Bob alone is fine"

    def _nothing_else_came(self) -> None:
        with self._step("Every event came once, signed, and nothing else did") as notes:
            events = [event.id for event in self._triggers()]
            came = [webhook.event.id for webhook in self._receiver.webhooks]
            expect(sorted(came) == sorted(events), f"events {events}, but webhooks {came}")
            expect(self._receiver.refused == 0, "a webhook had no valid signature")
            notes["webhooks"] = f"{len(came)} for {len(events)} events"

    def _create_alert(self, title: str, gte: int, *, customer: str | None = None) -> str:
        threshold: stripe.params.billing.AlertCreateParamsUsageThreshold = {
            "meter": self._meter,
            "gte": gte,
            "recurrence": "one_time",
        }
        if customer is not None:
            threshold["filters"] = [{"type": "customer", "customer": customer}]
        return self._client.v1.billing.alerts.create(
            {"alert_type": "usage_threshold", "title": title, "usage_threshold": threshold}
        ).id

    def _report(self, customer: str, value: int) -> None:
        self._client.v1.billing.meter_events.create(
            {
                "event_name": _EVENT_NAME,
                "payload": {"stripe_customer_id": customer, "value": str(value)},
            }
        )

    async def _report_many(self, customer: str, count: int, summary: Summary) -> None:
        payload = {"stripe_customer_id": customer, "value": "1"}
        usages = (
            Usage(number, _EVENT_NAME, f"{customer}-{number}", None, payload)
            for number in range(count)
        )
        await send_all(
            usages,
            Target(self._url, self._key),
            run_id="demo",
            concurrency=_CONCURRENCY,
            summary=summary,
            on_line=lambda _: None,
        )

    def _triggers(self) -> list[stripe.Event]:
        return self._client.v1.events.list({"type": _TRIGGERED, "limit": 100}).data

    def _expect_triggers(self, count: int) -> None:
        """Expect so many triggers in all.

        A trigger is written with the usage that causes it, before that is acknowledged. So what is
        not there now never comes, and nobody needs to wait to be sure.
        """
        found = len(self._triggers())
        expect(found == count, f"{found} triggers in all, not {count}")

    def _expect_webhook(self, alert: str, customer: str, *, value: int) -> Webhook:
        def is_it(event: stripe.Event) -> bool:
            thing = event.data.object
            return bool(thing["alert"]["id"] == alert and thing["customer"] == customer)

        webhook = self._receiver.wait_for(is_it, timeout_seconds=_WEBHOOK_SECONDS_MAX)
        if webhook is None:
            raise UnexpectedError(f"no webhook for {customer} within {_WEBHOOK_SECONDS_MAX:.0f} s")
        found = webhook.event.data.object["value"]
        expect(found == value, f"the webhook's value is {found}, not {value}")
        return webhook
