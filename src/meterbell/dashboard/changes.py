"""Changes from pages: the API's own operations, in process, with a line in the audit log.

A page knows no rule of its own: what a form holds is checked by the declarations of the API's
parameters, and done by the command that the API runs, in the same order and transaction.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec

from meterbell.api.call import Call, Operation
from meterbell.api.idempotency import answer_once, digest_params
from meterbell.api.params import read_params
from meterbell.api.routes import OPERATIONS
from meterbell.api.v2.bodies import decode_body
from meterbell.api.v2.route import Route as V2Route
from meterbell.api.v2.router import ROUTES as V2_ROUTES
from meterbell.dashboard.visit import Visit
from meterbell.ledger.transaction import Cause, Transaction
from meterbell.records import AuditEntry
from meterbell.services import Services
from meterbell.wire.form import Form
from meterbell.wire.json import encode_json

T = TypeVar("T")
Write = Callable[[Transaction], dict[str, Any]]

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_OPERATIONS = {(operation.method, operation.path): operation for operation in OPERATIONS}
_V2_ROUTES = {(route.method, route.path): route for route in V2_ROUTES}


def post(path: str) -> Operation:
    """Return the operation of the API that is a POST to a path."""
    return _OPERATIONS["POST", path]


def delete(path: str) -> Operation:
    """Return the operation of the API that is a DELETE of a path."""
    return _OPERATIONS["DELETE", path]


def post_v2(path: str) -> V2Route:
    """Return the route of the v2 API that is a POST to a path."""
    return _V2_ROUTES["POST", path]


def delete_v2(path: str) -> V2Route:
    """Return the route of the v2 API that is a DELETE of a path."""
    return _V2_ROUTES["DELETE", path]


class Changer(Protocol):
    """Who changes something, and from where; a `Visit` with somebody signed in is one."""

    @property
    def services(self) -> Services:
        """Of the server."""

    @property
    def livemode(self) -> bool:
        """In which mode."""

    @property
    def path(self) -> str:
        """The page's, without anything secret."""

    @property
    def form(self) -> Form:
        """What was sent."""

    @property
    def form_token(self) -> str:
        """What only this rendering of the form holds; empty if nothing tells it from others."""

    @property
    def actor(self) -> str:
        """The name in the audit log."""

    @property
    def address(self) -> str:
        """Where the browser is."""

    @property
    def request_id(self) -> str:
        """Names the request."""


async def change(
    visit: Changer,
    operation: Operation,
    params: Form,
    *,
    action: str,
    ids: Mapping[str, str] | None = None,
    object_id: str | None = None,
    details: Mapping[str, object] | None = None,
    is_once: bool = False,
) -> dict[str, Any]:
    """Do what the API does with the same parameters, and return what it would answer.

    Args:
        visit: Who asks, and in which mode.
        operation: One that writes.
        params: As the API takes them.
        action: Its name in the audit log: `alert.create`.
        ids: Values of the placeholders in the operation's path.
        object_id: What was changed; what the answer is by default.
        details: For the audit log, no secrets; the parameters by default.
        is_once: Whether a form that is sent again does nothing more, see `once`. For what makes
            something; what is undone and done again is done as often as it is asked for.

    Raises:
        RequestError: The API would refuse it.
    """
    command = await command_of(
        visit, operation, params, action=action, ids=ids, object_id=object_id, details=details
    )
    return await visit.services.committer.execute(once(visit, command) if is_once else command)


def once(visit: Changer, write: Write) -> Write:
    """Return a command that runs once for a form, and answers later sendings like the first.

    It is the API's idempotency, with the form's own token. What was typed belongs to the key: who
    goes back and types something else wants something else. A failure is not kept.
    """
    if not visit.form_token:
        return write
    digest = digest_params(visit.form)

    def command(transaction: Transaction) -> dict[str, Any]:
        reply, _ = answer_once(
            transaction,
            visit.services.vault,
            key=f"form {visit.form_token} {digest.hex()}",
            livemode=visit.livemode,
            request=f"POST {visit.path}",
            digest=digest,
            request_id=visit.request_id,
            run=lambda: encode_json(write(transaction)),
            keeps_failures=False,
        )
        return _decode(reply.body)

    return command


async def command_of(
    visit: Changer,
    operation: Operation,
    params: Form,
    *,
    action: str,
    ids: Mapping[str, str] | None = None,
    object_id: str | None = None,
    details: Mapping[str, object] | None = None,
) -> Write:
    """Return what `change` does, to be done together with something else."""
    assert operation.write is not None, f"{operation.path} changes nothing"
    call = _call(visit, read_params(operation.declared, params), ids or {})
    if operation.prepare is not None:
        call = await operation.prepare(call)
    shown = params if details is None else details
    write = partial(operation.write, call)
    return _noted(visit, write, action, object_id=object_id, details=shown)


async def change_v2(
    visit: Changer,
    route: V2Route,
    body: Mapping[str, object],
    *,
    action: str,
    ids: Mapping[str, str] | None = None,
    is_once: bool = False,
) -> dict[str, Any]:
    """Do what the v2 API does with the same body; as `change` in everything else.

    Raises:
        RequestError: The API would refuse it.
    """
    assert route.write is not None, f"{route.path} changes nothing"
    decoded = decode_body(encode_json(body), route.body)
    call = _call(visit, {}, ids or {})
    if route.prepare is not None:
        call = await route.prepare(call, decoded)
    write = partial(route.write, call, decoded)
    command = _noted(visit, write, action, object_id=None, details=body)
    return await visit.services.committer.execute(once(visit, command) if is_once else command)


def _noted(
    visit: Changer,
    write: Write,
    action: str,
    *,
    object_id: str | None,
    details: Mapping[str, object],
) -> Write:
    def command(transaction: Transaction) -> dict[str, Any]:
        answer = write(transaction)
        changed = object_id or answer.get("id")
        note(transaction, visit, action, object_id=changed, details=details)
        return answer

    return command


async def ask(visit: Visit, operation: Operation, params: Form) -> dict[str, Any]:
    """Return what the API answers to a question that takes a while and changes nothing.

    Raises:
        RequestError: The API would refuse it.
    """
    assert operation.answer is not None, f"{operation.path} is no such question"
    assert operation.changes_nothing, f"{operation.path} changes something"
    return await operation.answer(_call(visit, read_params(operation.declared, params), {}))


async def perform(
    visit: Visit, operation: Operation, *, action: str, ids: Mapping[str, str]
) -> dict[str, Any]:
    """Do what the API does in the world outside, note its outcome, and return what it answers.

    Raises:
        RequestError: The API would refuse it.
    """
    assert operation.answer is not None, f"{operation.path} does nothing outside"
    answer = await operation.answer(_call(visit, {}, ids))
    outcome = {"outcome": answer["outcome"]}
    object_id = ids["id"]
    await change_own(visit, lambda _: None, action=action, object_id=object_id, details=outcome)
    return answer


def _call(visit: Changer, params: dict[str, Any], ids: Mapping[str, str]) -> Call:
    return Call(
        services=visit.services,
        livemode=visit.livemode,
        params=params,
        ids=dict(ids),
        expand=frozenset(),
        url=visit.path,
        cause=Cause(visit.request_id),
    )


async def change_own(
    visit: Visit,
    command: Callable[[Transaction], T],
    *,
    action: str,
    object_id: str | None = None,
    details: Mapping[str, object] | None = None,
) -> T:
    """Change what is the dashboard's own, with a line in the audit log; return the outcome."""

    def noted(transaction: Transaction) -> T:
        outcome = command(transaction)
        note(transaction, visit, action, object_id=object_id, details=details or {})
        return outcome

    return await visit.services.committer.execute(noted)


def note(
    transaction: Transaction,
    visit: Changer,
    action: str,
    *,
    object_id: str | None,
    details: Mapping[str, object],
) -> None:
    """Add a line to the audit log, in the transaction of the change itself."""
    entry = AuditEntry(
        at_ms=transaction.now_ms,
        livemode=visit.livemode,
        actor=visit.actor,
        action=action,
        object=object_id,
        address=visit.address,
        details=dict(details),
    )
    transaction.objects.insert(entry)
