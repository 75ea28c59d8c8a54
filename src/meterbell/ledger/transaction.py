"""What a control change may do: read and write objects, change alerts, tell the world."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from meterbell.channel import NotificationChannel
from meterbell.engine.decide import Group
from meterbell.engine.state import State
from meterbell.ids import CustomerId, IdSource, new_id
from meterbell.records import Customer, Delivery, Event, ThinEvent, WebhookEndpoint
from meterbell.store.base import Store
from meterbell.store.objects import Objects
from meterbell.wire.objects import render_customer
from meterbell.wire.versions import DEFAULT_API_VERSION


@dataclass(frozen=True, slots=True)
class Cause:
    """The API request that caused an event; both None for what meterbell did by itself."""

    request_id: str | None = None
    idempotency_key: str | None = None


NO_CAUSE = Cause()


class Transaction:
    """One group's transaction as its commands see it; used in the writer's thread only.

    Attributes:
        objects: Reads and writes control objects; sees earlier writes of the same group.
        state: What usage is decided against. Don't change it: use `group` and `on_success`.
        group: Cancels usage and changes alerts, in commit order with the meter events around it.
        now_ms: The present, for the whole group.
        ids: Where new ids come from.
    """

    def __init__(
        self, *, store: Store, state: State, group: Group, now_ms: int, ids: IdSource
    ) -> None:
        self.objects: Objects = store.writer
        self.state = state
        self.group = group
        self.now_ms = now_ms
        self.ids = ids
        self.events: list[Event | ThinEvent] = []
        self.deliveries: list[Delivery] = []
        self.callbacks: list[Callable[[], None]] = []
        self._changes: list[Callable[[], object]] = []
        self._endpoints: dict[bool, list[WebhookEndpoint]] = {}
        self._channels: dict[bool, list[NotificationChannel]] = {}

    @property
    def now(self) -> int:
        """The present in Unix seconds."""
        return self.now_ms // 1000

    def on_success(self, change: Callable[[], object]) -> None:
        """Change the state with `change` if the command succeeds; what comes after it sees that."""
        self._changes.append(change)

    def succeed(self) -> None:
        """Take what the command changes into the state; an error in it leaves that in doubt."""
        for change in self._changes:
            change()
        self._changes.clear()

    def fail(self) -> None:
        """Forget what the command was to change."""
        self._changes.clear()

    def store_customer(self, customer: Customer, cause: Cause = NO_CAUSE) -> dict[str, Any]:
        """Store a new customer, tell the world, and return it rendered.

        Customers are numbered in the order in which they are stored: checkpoints hold numbers.
        """
        number = self.objects.insert(customer) - 1

        def know() -> None:
            known = self.state.add_customer(CustomerId(customer.id), livemode=customer.livemode)
            assert known == number, "customers are stored in the order in which they are known"

        self.on_success(know)
        rendered = render_customer(customer)
        self.emit("customer.created", rendered, livemode=customer.livemode, cause=cause)
        return rendered

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the event loop once this transaction is on stable storage."""
        self.callbacks.append(callback)

    def forget_endpoints(self) -> None:
        """Read endpoints and channels anew for the next event; call it after changing one."""
        self._endpoints.clear()
        self._channels.clear()

    def emit(
        self,
        event_type: str,
        obj: dict[str, Any],
        *,
        livemode: bool,
        previous_attributes: dict[str, Any] | None = None,
        to: WebhookEndpoint | None = None,
        cause: Cause = NO_CAUSE,
    ) -> Event:
        """Store an event with its deliveries to all enabled endpoints that want it (A5, D1).

        Args:
            event_type: Such as `customer.created`.
            obj: The event's `data.object`, rendered.
            livemode: The mode it happened in.
            previous_attributes: What an update changed, as it was before.
            to: The one endpoint that it is for, whatever that one wants.
            cause: The API request behind it.
        """
        data: dict[str, Any] = {"object": obj}
        if previous_attributes is not None:
            data["previous_attributes"] = previous_attributes
        endpoints = [to] if to is not None else self._wanting(event_type, livemode=livemode)
        event = Event(
            id=new_id(self.ids, "evt"),
            livemode=livemode,
            created=self.now,
            type=event_type,
            api_version=DEFAULT_API_VERSION,
            data=data,
            deliveries=len(endpoints),
            request_id=cause.request_id,
            idempotency_key=cause.idempotency_key,
        )
        event = msgspec.structs.replace(event, number=self.objects.insert(event))
        self.events.append(event)
        for endpoint in endpoints:
            self.add_delivery(event, endpoint)
        return event

    def emit_thin(
        self,
        event_type: str,
        *,
        livemode: bool,
        related: tuple[str, str] | None = None,
        data: dict[str, Any] | None = None,
        to: WebhookEndpoint | None = None,
        cause: Cause = NO_CAUSE,
    ) -> ThinEvent:
        """Store a v2 event with its deliveries to all enabled thin destinations that want it (D1).

        Args:
            event_type: Such as `v1.billing.meter.no_meter_found`.
            livemode: The mode it happened in.
            related: Type and id of the object that it is about.
            data: What only the API tells of it.
            to: The one destination that it is for, whatever that one wants.
            cause: The API request behind it.
        """
        object_type, object_id = related or (None, None)
        event = ThinEvent(
            id=new_id(self.ids, "evt", livemode=livemode),
            livemode=livemode,
            created_ms=self.now_ms,
            type=event_type,
            object_type=object_type,
            object_id=object_id,
            data=data or {},
            request_id=cause.request_id,
            idempotency_key=cause.idempotency_key,
        )
        event = msgspec.structs.replace(event, number=self.objects.insert(event))
        self.events.append(event)
        for endpoint in [to] if to is not None else self._enabled(livemode=livemode):
            if to is not None or (endpoint.event_payload == "thin" and wants(endpoint, event_type)):
                self.add_delivery(event, endpoint)
        return event

    def notify(self, event: Event, *, alert: str) -> None:
        """Store the deliveries of a trigger's event to all enabled channels that want it (A5)."""
        if event.livemode not in self._channels:
            self._channels[event.livemode] = self.objects.fetch_all(
                NotificationChannel, livemode=event.livemode, status="enabled"
            )
        for channel in self._channels[event.livemode]:
            if channel.wants(alert):
                self.add_delivery(event, channel)

    def add_delivery(
        self, event: Event | ThinEvent, endpoint: WebhookEndpoint | NotificationChannel
    ) -> Delivery:
        """Put one event for one endpoint or channel into the outbox, due at once."""
        delivery = Delivery(
            event=event.id,
            endpoint=endpoint.id,
            livemode=event.livemode,
            created_ms=self.now_ms,
            status="pending",
            attempts=0,
            next_attempt_at_ms=self.now_ms,
        )
        stored = msgspec.structs.replace(delivery, number=self.objects.insert(delivery))
        self.deliveries.append(stored)
        return stored

    def _wanting(self, event_type: str, *, livemode: bool) -> list[WebhookEndpoint]:
        return [
            endpoint
            for endpoint in self._enabled(livemode=livemode)
            if endpoint.event_payload != "thin" and wants(endpoint, event_type)
        ]

    def _enabled(self, *, livemode: bool) -> list[WebhookEndpoint]:
        if livemode not in self._endpoints:
            self._endpoints[livemode] = self.objects.fetch_all(
                WebhookEndpoint, livemode=livemode, status="enabled"
            )
        return self._endpoints[livemode]


def wants(endpoint: WebhookEndpoint, event_type: str) -> bool:
    """Return whether an endpoint is subscribed to a type of event."""
    return "*" in endpoint.enabled_events or event_type in endpoint.enabled_events
