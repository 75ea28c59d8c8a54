"""A notification channel: where people are told of alerts."""

from typing import Literal

from msgspec import Struct

CHANNEL_PREFIX = "nc_"
"""What the ids of notification channels begin with; deliveries hold them beside endpoints' ids."""


class NotificationChannel(Struct, frozen=True, kw_only=True):
    """Where people are told of alerts.

    Attributes:
        url: Apprise's URL, sealed.
        shown_url: The same without its secrets.
        service: What it leads to: "Slack".
        alerts: Ids of the alerts that it tells of; None for all.
        title: A template; None for the default.
        body: A template; None for the default.
    """

    number: int = 0
    id: str
    livemode: bool
    created: int
    name: str
    url: str
    shown_url: str
    service: str
    alerts: list[str] | None
    title: str | None
    body: str | None
    status: Literal["enabled", "disabled"]

    def wants(self, alert: str) -> bool:
        """Return whether it tells of an alert."""
        return self.alerts is None or alert in self.alerts
