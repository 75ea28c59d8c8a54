"""A trigger's event → the words that people read."""

import re
from datetime import UTC, datetime

from meterbell.channel import NotificationChannel
from meterbell.delivery.channels.schemes import PLAIN
from meterbell.engine.model import Meter
from meterbell.records import Customer, Event
from meterbell.store.objects import Objects
from meterbell.wire.template import (
    BODY_DEFAULT,
    BODY_LENGTH_MAX,
    TITLE_DEFAULT,
    TITLE_LENGTH_MAX,
    fill_template,
)

SAMPLE: dict[str, str] = {
    "alert.id": "alrt_test",
    "alert.title": "Test from meterbell",
    "alert.threshold": "100",
    "customer.id": "cus_test",
    "customer.name": "A test customer",
    "event.id": "evt_test",
    "meter.id": "mtr_test",
    "meter.name": "Test meter",
    "meter.event_name": "test",
    "mode": "test",
    "time": "2026-01-01 00:00:00 UTC",
    "value": "100",
}
"""What stands in a notice that is sent to try a channel."""


# What begins a mention, a tag or the hidden address of a link.
_MARK_UP = re.compile(r"@(?=\w)|<(?=\S)|\](?=\()")
_GAP = "\u200b"


def fill(channel: NotificationChannel, values: dict[str, str]) -> tuple[str, str]:
    """Return title and body of a notice.

    Names come from outside. In a chat they look as they are, but mention nobody and hide no link;
    what the templates themselves say is the channel's own.
    """
    if channel.shown_url.partition("://")[0] not in PLAIN:
        values = {name: _MARK_UP.sub(rf"\g<0>{_GAP}", value) for name, value in values.items()}
    return (
        fill_template(channel.title or TITLE_DEFAULT, values, length_max=TITLE_LENGTH_MAX),
        fill_template(channel.body or BODY_DEFAULT, values, length_max=BODY_LENGTH_MAX),
    )


def values_of(event: Event, objects: Objects) -> dict[str, str]:
    """Return what a `billing.alert.triggered` event puts into a notice.

    Args:
        event: Tells which alert, customer and usage.
        objects: Where the names of customer and meter are, as they are now.
    """
    triggered = event.data["object"]
    alert = triggered["alert"]
    meter_id = alert["usage_threshold"]["meter"]
    meter = objects.get(Meter, meter_id, livemode=event.livemode)
    customer = objects.get(Customer, triggered["customer"], livemode=event.livemode)
    name = customer.details.get("name") if customer is not None else None
    return {
        "alert.id": alert["id"],
        "alert.title": alert["title"],
        "alert.threshold": str(alert["usage_threshold"]["gte"]),
        "customer.id": triggered["customer"],
        "customer.name": name or triggered["customer"],
        "event.id": event.id,
        "meter.id": meter_id,
        "meter.name": meter.display_name if meter is not None else meter_id,
        "meter.event_name": meter.event_name if meter is not None else meter_id,
        "mode": "live" if event.livemode else "test",
        "time": datetime.fromtimestamp(triggered["created"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "value": triggered["value_decimal"],
    }
