"""Listeners in the database: begin, remember how far they have come, send again, end.

All of it is done inside transactions, in commit order: an event is committed either before a
listener begins, or waits for it.
"""

import hashlib
from collections.abc import Collection
from typing import NamedTuple

import msgspec

from meterbell.errors import OverloadedError
from meterbell.ids import new_id
from meterbell.ledger.transaction import Transaction
from meterbell.records import Event, Listener, ListenerAnswer, ListenerResend, ThinEvent
from meterbell.store import tables
from meterbell.store.sealing import LISTENER_SECRETS, read_fact, store_fact
from meterbell.vault import Vault

LISTENERS_MAX = 100
"""In each mode; those that were not seen for longest make room for new ones."""

UNSEEN_SECONDS = 7 * 24 * 60 * 60
"""A listener that stays away for longer is forgotten."""

RESENDS_MAX = 1000
"""Events that may wait to be sent again to a listener; it gets no more until it comes back."""

ANSWERS_MAX = 1000
"""The latest answers of a listener's local server that are kept."""

_TOKEN_LENGTH = 40
_SECRET_LENGTH = 43
_listener = tables.listener.c
_resend = tables.listener_resend.c
_answer = tables.listener_answer.c


class Wish(NamedTuple):
    """What somebody asks for who wants to listen.

    Attributes:
        livemode: The mode of their key.
        key: The key's own id.
        device_name: As they call themselves.
        features: What they want to receive.
        forward_to: Where they say they post events.
        thin_forward_to: Where they say they post thin events.
        filters: Which requests they want to see.
        types: Of events they want; empty for all.
        resumes: Whether they know where they stopped.
        event_cursor: Number of the event after which they begin; None for the newest.
        thin_cursor: The same for thin events.
    """

    livemode: bool
    key: str
    device_name: str
    features: list[str]
    forward_to: str | None
    thin_forward_to: str | None
    filters: dict[str, list[str]]
    types: list[str]
    resumes: bool
    event_cursor: int | None
    thin_cursor: int | None


class Begun(NamedTuple):
    """A new listener.

    Attributes:
        token: What it proves itself with from now on.
        secret: What its events are signed with.
        since: Id of the event after which it begins; None for the very beginning.
        thin_since: The same for thin events.
    """

    token: str
    secret: str
    since: str | None
    thin_since: str | None


class Progress(NamedTuple):
    """How far a listener has come.

    Attributes:
        listener: Its id.
        cursors: By the names of their columns.
        done: Frames past them that are acknowledged.
        answers: What its local server answered since last time.
        is_over: Whether it is not going to come back.
    """

    listener: str
    cursors: dict[str, int]
    done: list[str]
    answers: list[ListenerAnswer]
    is_over: bool


def digest_of(token: str) -> bytes:
    """Return what is stored of a token. It is random enough that a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).digest()


def begin_listener(
    transaction: Transaction, wish: Wish, *, vault: Vault, connected: Collection[str]
) -> Begun:
    """Store a new listener; events committed from now on wait for it.

    Args:
        transaction: The open one.
        wish: What is asked for.
        vault: Where secrets are safe.
        connected: Ids of those that are connected and can't make room.

    Raises:
        OverloadedError: As many are connected as there may be.
    """
    _make_room(transaction, livemode=wish.livemode, connected=connected)
    objects = transaction.objects
    token = f"cliws_{transaction.ids.token(_TOKEN_LENGTH)}"
    event_cursor, thin_cursor = wish.event_cursor, wish.thin_cursor
    if event_cursor is None:
        event_cursor = objects.newest_number(Event)
    if thin_cursor is None:
        thin_cursor = objects.newest_number(ThinEvent)
    listener = Listener(
        id=new_id(transaction.ids, "lsn"),
        livemode=wish.livemode,
        digest=digest_of(token),
        key=wish.key,
        device_name=wish.device_name,
        features=wish.features,
        forward_to=wish.forward_to,
        thin_forward_to=wish.thin_forward_to,
        filters=wish.filters,
        types=wish.types,
        created=transaction.now,
        resumes=wish.resumes,
        event_cursor=event_cursor,
        thin_cursor=thin_cursor,
        resend_cursor=0,
    )
    objects.insert(listener)
    return Begun(
        token,
        _secret(transaction, vault, livemode=wish.livemode),
        _newest_until(transaction, Event, event_cursor, livemode=wish.livemode),
        _newest_until(transaction, ThinEvent, thin_cursor, livemode=wish.livemode),
    )


def store_progress(transaction: Transaction, progress: Progress) -> None:
    """Write down how far a listener has come."""
    objects = transaction.objects
    changes: dict[str, object] = {**progress.cursors, "done": progress.done}
    if progress.is_over:
        changes["status"] = "ended"
    changed = objects.update(
        Listener, _listener.id == progress.listener, seen_at=transaction.now, **changes
    )
    if not changed:
        return  # it was forgotten meanwhile
    cursor = progress.cursors.get("resend_cursor")
    if cursor is not None:
        objects.delete(
            ListenerResend, _resend.listener == progress.listener, _resend.number <= cursor
        )
    for answer in progress.answers:
        objects.insert(msgspec.structs.replace(answer, id=new_id(transaction.ids, "lans")))
    if progress.answers:
        _drop_old_answers(transaction, progress.listener)


def send_again(transaction: Transaction, event: Event, *, connected: Collection[str]) -> int:
    """Have the listeners of an event's mode told of it once more; return how many those are.

    Args:
        transaction: The open one.
        event: Any that is stored.
        connected: Ids of those that are connected; others may come back if they ever were.
    """
    objects = transaction.objects
    wanting = [
        listener
        for listener in objects.find(
            Listener, _listener.livemode == event.livemode, _listener.status == "open"
        )
        if "webhooks" in listener.features
        and (listener.seen_at is not None or listener.id in connected)
        and objects.count(ListenerResend, _resend.listener == listener.id) < RESENDS_MAX
    ]
    for listener in wanting:
        objects.insert(ListenerResend(listener=listener.id, event=event.id))
    return len(wanting)


def _newest_until(
    transaction: Transaction, record: type[Event | ThinEvent], number: int, *, livemode: bool
) -> str | None:
    """Return the id of a mode's newest event up to a number."""
    columns = (tables.event if record is Event else tables.thin_event).c
    where = [columns.livemode == livemode, columns.number <= number]
    newest = transaction.objects.page(record, where, limit=1).items
    return newest[0].id if newest else None


def _make_room(transaction: Transaction, *, livemode: bool, connected: Collection[str]) -> None:
    """Forget who was not seen for long, and of the others those that there are too many of."""
    found = transaction.objects.find(Listener, _listener.livemode == livemode)
    away = sorted(
        (listener for listener in found if listener.id not in connected),
        key=lambda listener: (
            listener.status == "open",
            listener.seen_at or listener.created,
            listener.number,
        ),
    )
    oldest = transaction.now - UNSEEN_SECONDS
    too_many = len(found) - LISTENERS_MAX + 1
    if too_many > len(away):
        raise OverloadedError(
            f"Too many listeners are connected: there may be {LISTENERS_MAX} in each mode. End one "
            "to begin another."
        )
    for index, listener in enumerate(away):
        if index < too_many or (listener.seen_at or listener.created) < oldest:
            _forget(transaction, listener)


def _forget(transaction: Transaction, listener: Listener) -> None:
    objects = transaction.objects
    objects.delete(ListenerResend, _resend.listener == listener.id)
    objects.delete(ListenerAnswer, _answer.listener == listener.id)
    objects.delete(Listener, _listener.id == listener.id)


def _drop_old_answers(transaction: Transaction, listener: str) -> None:
    objects = transaction.objects
    of_listener = _answer.listener == listener
    too_many = objects.count(ListenerAnswer, of_listener) - ANSWERS_MAX
    if too_many > 0:
        old = objects.find(ListenerAnswer, of_listener, order_by=_answer.number, limit=too_many)
        objects.delete(ListenerAnswer, of_listener, _answer.number <= old[-1].number)


def _secret(transaction: Transaction, vault: Vault, *, livemode: bool) -> str:
    """Return what a mode's events are signed with for listeners, made for the first of them."""
    name = LISTENER_SECRETS[livemode]
    found = read_fact(transaction.objects, vault, name)
    if found is None:
        found = f"whsec_{transaction.ids.token(_SECRET_LENGTH)}"
        store_fact(transaction.objects, vault, name, found)
    return found
