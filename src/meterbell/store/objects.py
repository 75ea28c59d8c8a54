"""Plain reads and writes of control objects: get, find, page, insert, update."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar, get_type_hints

import msgspec
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import sqlite

from meterbell import records
from meterbell.channel import NotificationChannel
from meterbell.engine.model import Alert, Meter
from meterbell.store import channel_tables, dashboard_tables, tables
from meterbell.store.sql import Connection, compile_statement

R = TypeVar("R")

_TABLES: dict[type[Any], Table] = {
    Meter: tables.meter,
    Alert: tables.alert,
    records.Customer: tables.customer,
    records.WebhookEndpoint: tables.webhook_endpoint,
    NotificationChannel: channel_tables.notification_channel,
    records.Event: tables.event,
    records.ThinEvent: tables.thin_event,
    records.ErrorWindow: tables.error_window,
    records.Delivery: tables.delivery,
    records.Attempt: tables.attempt,
    records.EndpointHealth: tables.endpoint_health,
    records.Listener: tables.listener,
    records.ListenerResend: tables.listener_resend,
    records.ListenerAnswer: tables.listener_answer,
    records.IdempotentReply: tables.idempotent_reply,
    records.RequestEntry: tables.request,
    records.ApiKey: tables.api_key,
    records.TriggerRecord: tables.trigger,
    records.DashboardUser: dashboard_tables.dashboard_user,
    records.DashboardSession: dashboard_tables.dashboard_session,
    records.SignInLink: dashboard_tables.sign_in_link,
    records.AuditEntry: dashboard_tables.audit_entry,
    records.ApiKeyUse: dashboard_tables.api_key_use,
    records.CustomerAlert: dashboard_tables.customer_alert,
}
_NAMES = {record: tuple(get_type_hints(record)) for record in _TABLES}
_JSON_COLUMNS = frozenset(
    {
        "alerts",
        "details",
        "enabled_events",
        "metadata",
        "data",
        "samples",
        "features",
        "filters",
        "types",
        "done",
    }
)
_encode = msgspec.json.Encoder(order="deterministic").encode


def table_of(record: type[Any]) -> Table:
    """Return the table that holds records of a type."""
    return _TABLES[record]


class Page(NamedTuple):
    """One page of a list, newest first, and whether more follow in the direction of travel.

    Attributes:
        numbers: Of the items, for cursors.
    """

    items: list[Any]
    has_more: bool
    numbers: list[int]


class Objects:
    """Reads and writes of control objects over one connection.

    On the writer's connection it belongs to the transaction that is open; on a reader's connection
    each call sees what was committed last, and writing fails.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, record: type[R], object_id: str, *, livemode: bool) -> R | None:
        """Return the object with an id in a mode, or None."""
        sql = _get_sql(table_of(record), _field_names(record))
        rows = self._connection.run(sql, {"id": object_id, "livemode": livemode})
        return _load(record, rows[0]) if rows else None

    def find(
        self,
        record: type[R],
        *where: ColumnElement[bool],
        order_by: ColumnElement[Any] | None = None,
        limit: int | None = None,
    ) -> list[R]:
        """Return the objects that meet all conditions.

        Args:
            record: What to find.
            where: Conditions that each meets.
            order_by: A column to order by; the primary key if none is given. A range of an indexed
                column needs it: to order by the primary key SQLite walks the whole table.
            limit: Objects at most.
        """
        order = table_of(record).primary_key.columns if order_by is None else (order_by,)
        statement = select(*_columns(record)).where(*where).order_by(*order)
        rows = self._connection.execute(statement.limit(limit) if limit is not None else statement)
        return [_load(record, row) for row in rows]

    def fetch(self, record: type[R], **key: object) -> R | None:
        """Return the object whose columns have certain values, all of its primary key, or None."""
        sql = _fetch_sql(table_of(record), _field_names(record), tuple(key))
        rows = self._connection.run(sql, key)
        return _load(record, rows[0]) if rows else None

    def fetch_all(self, record: type[R], **columns: object) -> list[R]:
        """Return the objects whose columns have certain values, by primary key."""
        sql = _fetch_sql(table_of(record), _field_names(record), tuple(columns))
        return [_load(record, row) for row in self._connection.run(sql, columns)]

    def fetch_after(self, record: type[R], number: int, *, limit: int) -> list[R]:
        """Return the next objects after a number, in their order."""
        sql = _after_sql(table_of(record), _field_names(record))
        rows = self._connection.run(sql, {"after": number, "most": limit})
        return [_load(record, row) for row in rows]

    def newest_number(self, record: type[Any]) -> int:
        """Return the number of the object that was added last; 0 if there is none."""
        statement = select(func.coalesce(func.max(table_of(record).c.number), 0))
        return int(self._connection.execute(statement)[0][0])

    def put(self, item: object) -> None:
        """Add an object, or put it in the place of the one with the same primary key."""
        record = type(item)
        sql = _put_sql(table_of(record), _field_names(record))
        self._connection.run(sql, _values(item))

    def count(
        self, record: type[Any], *where: ColumnElement[bool], limit: int | None = None
    ) -> int:
        """Return how many objects meet all conditions; counting ends at a limit."""
        found = select(literal(1)).select_from(table_of(record)).where(*where).limit(limit)
        statement = select(func.count()).select_from(found.subquery())
        return int(self._connection.execute(statement)[0][0])

    def page(
        self,
        record: type[R],
        where: Sequence[ColumnElement[bool]],
        *,
        limit: int,
        after: int | None = None,
        before: int | None = None,
    ) -> Page:
        """Return one page of a list, newest first.

        Args:
            record: What to list.
            where: Conditions that every item meets.
            limit: Items at most.
            after: Number of the item before the page in list order.
            before: Number of the item after the page in list order.
        """
        number = table_of(record).c.number
        statement = select(number.label("place"), *_columns(record)).where(*where).limit(limit + 1)
        if before is not None:
            statement = statement.where(number > before).order_by(number)
        else:
            if after is not None:
                statement = statement.where(number < after)
            statement = statement.order_by(number.desc())
        rows = self._connection.execute(statement)
        has_more, rows = len(rows) > limit, rows[:limit]
        if before is not None:
            rows.reverse()
        items = [_load(record, row[1:]) for row in rows]
        return Page(items, has_more, [int(row[0]) for row in rows])

    def number_of(self, record: type[Any], object_id: str, *, livemode: bool) -> int | None:
        """Return the `number` of an object, which list cursors point at."""
        columns = table_of(record).c
        rows = self._connection.execute(
            select(columns.number).where(columns.id == object_id, columns.livemode == livemode)
        )
        return int(rows[0][0]) if rows else None

    def insert(self, item: object) -> int:
        """Add an object and return its number."""
        record = type(item)
        sql = _insert_sql(table_of(record), _field_names(record))
        self._connection.run(sql, _values(item))
        return self._connection.last_number

    def insert_many(self, items: Sequence[object]) -> None:
        """Add objects of one type."""
        record = type(items[0])
        sql = _insert_sql(table_of(record), _field_names(record))
        self._connection.run_many(sql, [_values(item) for item in items])

    def update(self, record: type[Any], *where: ColumnElement[bool], **changes: object) -> int:
        """Change columns of the objects that meet all conditions; return how many those are."""
        values = {name: _to_column(name, value) for name, value in changes.items()}
        self._connection.execute(update(table_of(record)).where(*where).values(values))
        return self._connection.changes

    def delete(self, record: type[Any], *where: ColumnElement[bool]) -> int:
        """Remove the objects that meet all conditions; return how many those are."""
        self._connection.execute(delete(table_of(record)).where(*where))
        return self._connection.changes

    def endpoints_due(self) -> list[tuple[str, bool]]:
        """Return those for whom deliveries wait, and their mode; not slower with more that wait."""
        rows = self._connection.run(
            "WITH RECURSIVE due (endpoint) AS ("
            " SELECT min(endpoint) FROM delivery WHERE next_attempt_at_ms IS NOT NULL"
            " UNION ALL SELECT (SELECT min(endpoint) FROM delivery"
            " WHERE endpoint > due.endpoint AND next_attempt_at_ms IS NOT NULL)"
            " FROM due WHERE due.endpoint IS NOT NULL)"
            " SELECT endpoint, (SELECT livemode FROM delivery WHERE endpoint = due.endpoint"
            " AND next_attempt_at_ms IS NOT NULL LIMIT 1) FROM due WHERE endpoint IS NOT NULL"
        )
        return [(str(row[0]), bool(row[1])) for row in rows]

    def deliveries_due(self, endpoint: str, *, now_ms: int, limit: int) -> list[records.Delivery]:
        """Return an endpoint's deliveries whose next attempt is due, longest overdue first."""
        rows = self._connection.run(
            _due_sql(), {"endpoint": endpoint, "now_ms": now_ms, "most": limit}
        )
        return [_load(records.Delivery, row) for row in rows]

    def end_attempt(self, before: records.Delivery, after: records.Delivery) -> bool:
        """Store what an attempt made of a delivery, unless it was canceled or resent meanwhile."""
        self._connection.run(
            "UPDATE delivery SET status = ?, attempts = ?, next_attempt_at_ms = ?"
            " WHERE number = ? AND status = 'pending' AND resent_ms IS ?",
            (
                after.status,
                after.attempts,
                after.next_attempt_at_ms,
                before.number,
                before.resent_ms,
            ),
        )
        return self._connection.changes > 0

    def next_due_ms(self, endpoint: str, *, after_ms: int) -> int | None:
        """Return when an endpoint's next attempt after an instant is due."""
        rows = self._connection.run(
            "SELECT min(next_attempt_at_ms) FROM delivery"
            " WHERE endpoint = ? AND next_attempt_at_ms > ?",
            (endpoint, after_ms),
        )
        return None if rows[0][0] is None else int(rows[0][0])

    def attempts_after(self, number: int, *, limit: int) -> list[tuple[int, str, int, int, str]]:
        """Return number, endpoint, start, duration and outcome of the attempts after one."""
        rows = self._connection.run(
            "SELECT attempt.number, endpoint, started_at_ms, duration_ms, outcome FROM attempt"
            " JOIN delivery ON delivery.number = attempt.delivery"
            " WHERE attempt.number > ? ORDER BY attempt.number LIMIT ?",
            (number, limit),
        )
        return [(int(row[0]), str(row[1]), int(row[2]), int(row[3]), str(row[4])) for row in rows]

    def triggers_after(self, number: int, *, limit: int) -> list[tuple[int, str, int]]:
        """Return number, alert and time of the triggers after one, in their order."""
        rows = self._connection.run(
            "SELECT number, alert, created_ms FROM trigger"
            " WHERE number > ? ORDER BY number LIMIT ?",
            (number, limit),
        )
        return [(int(row[0]), str(row[1]), int(row[2])) for row in rows]

    def get_meta(self, key: str) -> str | None:
        """Return a fact about the installation, or None."""
        rows = self._connection.run("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def set_meta(self, key: str, value: str) -> None:
        """Store a fact about the installation."""
        self._connection.run(
            "INSERT INTO meta (key, value) VALUES (?, ?)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )


# Building a statement takes longer than running it, so the frequent ones are built once.
@cache
def _get_sql(table: Table, names: tuple[str, ...]) -> str:
    statement = select(*(table.c[name] for name in names)).where(
        table.c.id == bindparam("id"), table.c.livemode == bindparam("livemode")
    )
    return compile_statement(statement)[0]


@cache
def _insert_sql(table: Table, names: tuple[str, ...]) -> str:
    values: dict[str, Any] = {name: bindparam(name) for name in names if name != "number"}
    return compile_statement(insert(table).values(values))[0]


@cache
def _fetch_sql(table: Table, names: tuple[str, ...], key: tuple[str, ...]) -> str:
    where = [table.c[name] == bindparam(name) for name in key]
    statement = select(*(table.c[name] for name in names)).where(*where)
    return compile_statement(statement.order_by(*table.primary_key.columns))[0]


@cache
def _after_sql(table: Table, names: tuple[str, ...]) -> str:
    statement = select(*(table.c[name] for name in names)).where(
        table.c.number > bindparam("after")
    )
    # SQLAlchemy would bind an offset besides.
    return compile_statement(statement.order_by(table.c.number))[0] + " LIMIT :most"


@cache
def _due_sql() -> str:
    column = tables.delivery.c
    statement = select(*_columns(records.Delivery)).where(
        column.endpoint == bindparam("endpoint"), column.next_attempt_at_ms <= bindparam("now_ms")
    )
    return compile_statement(statement.order_by(column.next_attempt_at_ms))[0] + " LIMIT :most"


@cache
def _put_sql(table: Table, names: tuple[str, ...]) -> str:
    key = [column.name for column in table.primary_key.columns]
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    statement = sqlite.insert(table).values(values)
    changes = {name: statement.excluded[name] for name in names if name not in key}
    return compile_statement(statement.on_conflict_do_update(index_elements=key, set_=changes))[0]


def _field_names(record: type[Any]) -> tuple[str, ...]:
    return _NAMES[record]


def _columns(record: type[Any]) -> list[ColumnElement[Any]]:
    return [table_of(record).c[name] for name in _field_names(record)]


def _load(record: type[R], row: tuple[Any, ...]) -> R:
    table = table_of(record)
    values: dict[str, Any] = {}
    for name, value in zip(_field_names(record), row, strict=True):
        if name in _JSON_COLUMNS:
            values[name] = msgspec.json.decode(value)
        elif value is not None and isinstance(table.c[name].type, Boolean):
            values[name] = bool(value)
        else:
            values[name] = value
    return record(**values)


def _values(item: object) -> dict[str, Any]:
    names = _field_names(type(item))
    return {name: _to_column(name, getattr(item, name)) for name in names if name != "number"}


def _to_column(name: str, value: object) -> object:
    return _encode(value).decode() if name in _JSON_COLUMNS else value
