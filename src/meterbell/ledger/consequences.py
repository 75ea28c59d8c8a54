"""What a decided group leaves in its transaction besides its log entries: triggers, events, outbox.

Rule A5: the trigger, its `billing.alert.triggered` event and the deliveries are in the same
transaction as the meter event.
"""

from meterbell.engine.decide import Group
from meterbell.engine.value import format_value
from meterbell.ledger.reports import note_refusals
from meterbell.ledger.transaction import Transaction
from meterbell.records import Customer, TriggerRecord
from meterbell.wire.objects import render_alert_triggered


def store_new_customers(group: Group, transaction: Transaction) -> None:
    """Write the customers that usage created, before another operation stores one."""
    for livemode, customer in group.new_customers:
        record = Customer(
            id=customer,
            livemode=livemode,
            created=transaction.now,
            deleted=False,
            email=None,
            details={},
        )
        transaction.store_customer(record)
    transaction.succeed()
    group.new_customers.clear()


def store_consequences(group: Group, transaction: Transaction) -> None:
    """Write what follows from a group's entries."""
    if group.refusals:
        note_refusals(transaction, group.refusals)
    for trigger in group.triggers:
        alert = trigger.alert
        event = transaction.emit(
            "billing.alert.triggered",
            render_alert_triggered(
                alert, customer=trigger.customer, value=trigger.value, created=transaction.now
            ),
            livemode=alert.livemode,
        )
        transaction.notify(event, alert=alert.id)
        transaction.objects.insert(
            TriggerRecord(
                alert=alert.id,
                customer=trigger.customer,
                window="lifetime",
                value=format_value(trigger.value),
                sequence=trigger.sequence,
                created_ms=transaction.now_ms,
                event=event.id,
            )
        )
