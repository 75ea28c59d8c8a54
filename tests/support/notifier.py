"""A notifier without the process that speaks to services."""

from typing_extensions import override

from meterbell.delivery.channels.notifier import Checked, Notifier
from meterbell.delivery.outcome import Outcome
from meterbell.settings import Settings


class FakeNotifier(Notifier):
    """Looks at nothing and sends nothing.

    Attributes:
        sent: What it was told to send.
        refusal: What it has against every URL.
        outcome: What comes of every notice.
    """

    def __init__(self) -> None:
        super().__init__(Settings())
        self.sent: list[tuple[str, str, str]] = []
        self.refusal: str | None = None
        self.outcome = Outcome("succeeded")

    @override
    async def check(self, url: str, *, livemode: bool) -> Checked:
        return Checked(self.refusal, "Slack", "slack://****")

    @override
    async def send(self, url: str, *, livemode: bool, title: str, body: str) -> Outcome:
        self.sent.append((url, title, body))
        return self.outcome
