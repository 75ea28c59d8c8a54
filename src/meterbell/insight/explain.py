"""Why an alert fired for a customer or did not, with everything that is on record about it."""

from meterbell.engine.explain import Explanation, explain
from meterbell.engine.model import Alert
from meterbell.engine.state import State
from meterbell.ids import AlertId, CustomerId
from meterbell.ledger.committer import Committer
from meterbell.records import Delivery, TriggerRecord
from meterbell.store.base import Store
from meterbell.wire.explanations import Explained, Fired


class Explainer:
    """Explains the alerts of one state."""

    def __init__(self, store: Store, state: State, committer: Committer) -> None:
        """Prepare.

        Args:
            store: What is on record.
            state: What usage is decided against.
            committer: Waited for where a trigger is decided and not on record yet.
        """
        self._store = store
        self._state = state
        self._committer = committer

    async def explain(self, alert_id: AlertId, customer: CustomerId) -> Explained:
        """Return why an alert fired for a customer, or what keeps it from firing.

        Args:
            alert_id: Of an alert that exists, archived or not.
            customer: Need not exist.

        Raises:
            OverloadedError: The trigger is not on record yet, and too much else waits for that.
        """
        found = explain(self._state, self._state.alerts[alert_id], customer)
        fired = None
        if found.outcome == "triggered":
            record = self._record(found)
            if record is None:
                await self._committer.execute(lambda _: None)
                record = self._record(found)
            fired = None if record is None else self._fired(found.alert, record)
        return Explained(explanation=found, fired=fired, since_ms=self._since_ms(found))

    def _record(self, found: Explanation) -> TriggerRecord | None:
        key = {"alert": found.alert.id, "customer": found.customer, "window": "lifetime"}
        return self._store.reader.fetch(TriggerRecord, **key)

    def _fired(self, alert: Alert, record: TriggerRecord) -> Fired:
        is_event = record.sequence != alert.created_sequence
        return Fired(
            record=record,
            meter_event=self._store.find_event(record.sequence) if is_event else None,
            cancelled=record.sequence in self._state.cancelled,
            deliveries=self._store.reader.fetch_all(Delivery, event=record.event),
        )

    def _since_ms(self, found: Explanation) -> int | None:
        if found.outcome == "meter_inactive":
            at = found.meter.deactivated_at
            return None if at is None else at * 1000
        if found.outcome != "inactive":
            return None
        changes = self._state.alerts_of(found.meter.id).scope(found.alert.customer).changes
        sequence = next(at for at, alert_id in changes if alert_id == found.alert.id)
        return self._store.received_at_ms(sequence)
