"""What request handlers and pages work with, put together by `app.py`."""

from dataclasses import dataclass, field

from meterbell.clock import Clock
from meterbell.delivery.channels.notifier import Notifier
from meterbell.delivery.egress import Egress
from meterbell.delivery.listeners import EventFeed, Listeners
from meterbell.delivery.lookup import Lookup
from meterbell.engine.state import State
from meterbell.ids import IdSource
from meterbell.insight.insight import Insight
from meterbell.ledger.committer import Committer
from meterbell.metrics import Metrics
from meterbell.requestlog.log import RequestLog
from meterbell.settings import Settings
from meterbell.store.base import Store
from meterbell.vault import Vault


@dataclass(frozen=True, slots=True)
class Services:
    """The running parts of one server.

    Attributes:
        settings: How it runs.
        clock: The present.
        ids: New ids.
        store: Reads of what is committed: `store.reader`, `store.find_event`.
        state: Meters, alerts and counters in memory; read only.
        committer: Everything that changes anything.
        vault: Seals secrets before they are stored, and opens them where they are used.
        egress: Which addresses webhooks may be sent to.
        lookup: Finds the addresses of names in requests.
        feed: Wakes those who wait for new events.
        listeners: Those who are told of events over a websocket.
        requests: The request log.
        notifier: Sends notices to people, and looks at the URLs of channels.
        metrics: What happened; None where it is not to be told.
        insight: What usage says to people.
    """

    settings: Settings
    clock: Clock
    ids: IdSource
    store: Store
    state: State
    committer: Committer
    vault: Vault
    egress: Egress
    lookup: Lookup
    feed: EventFeed
    listeners: Listeners
    requests: RequestLog
    notifier: Notifier
    metrics: Metrics | None = None
    insight: Insight = field(init=False)

    def __post_init__(self) -> None:
        insight = Insight.over(self.store, self.state, self.committer, self.clock)
        object.__setattr__(self, "insight", insight)
