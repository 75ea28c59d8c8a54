"""One API request on its way, and the declaration of what a route takes and does."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from meterbell.api.params import EXPAND, Param
from meterbell.delivery.addresses import Address
from meterbell.delivery.channels.notifier import Checked
from meterbell.errors import InvalidParamError, NotFoundError
from meterbell.ledger.transaction import Cause, Transaction
from meterbell.services import Services

_EXPAND_DEPTH_MAX = 4

Successes = Literal["kept", "shown", "untold"]
"""What the request log does with a request that succeeds: keep it, show it to those who watch just
now, or nothing. Failures are always kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, authenticated, decoded and checked against its declaration.

    Attributes:
        params: Values by name; absent parameters are not in it.
        ids: Values of the path's placeholders.
        expand: Fields to embed, without `data.`.
        key_id: The API key's own id.
        found: The addresses of the host that a parameter names, where the route looks them up.
        headers: Of the request, by lower-case name.
        checked: Where a parameter's URL leads, if the route looked at it.
    """

    services: Services
    livemode: bool
    params: dict[str, Any]
    ids: dict[str, str]
    expand: frozenset[str]
    url: str
    cause: Cause
    key_id: str = ""
    found: tuple[Address, ...] = ()
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    checked: Checked | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A route: what it takes, what it does, what it returns.

    Attributes:
        path: With placeholders: `/v1/customers/{customer}`.
        summary: For the reference, in a few words.
        returns: The schema of the answer; `list:…` for a list.
        read: Answers from what is committed, quickly; runs on the event loop.
        answer: Answers after waiting for something.
        prepare: Finds out what `write` must know and has no time for.
        write: Changes something and answers; runs in commit order.
        expandable: Fields that may be embedded.
        successes: What the request log does with them.
        changes_nothing: Whether a POST only asks, so that a key that reads may send it.
        declared: All parameters: `params`, and `expand`, which may stand in any request.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    summary: str
    returns: str
    params: Mapping[str, Param] = field(default_factory=dict)
    read: Callable[[Call], dict[str, Any]] | None = None
    answer: Callable[[Call], Awaitable[dict[str, Any]]] | None = None
    prepare: Callable[[Call], Awaitable[Call]] | None = None
    write: Callable[[Call, Transaction], dict[str, Any]] | None = None
    expandable: frozenset[str] = frozenset()
    is_ingest: bool = False
    successes: Successes = "kept"
    changes_nothing: bool = False
    declared: Mapping[str, Param] = field(init=False)

    def __post_init__(self) -> None:
        # Made once, because every request is held against it.
        object.__setattr__(self, "declared", {**self.params, "expand": EXPAND})

    @property
    def is_list(self) -> bool:
        """Whether the answer is a list."""
        return self.returns.startswith("list:")


def read_expand(operation: Operation, names: list[str]) -> frozenset[str]:
    """Return the fields to embed.

    Raises:
        InvalidParamError: One of them can't be expanded here.
    """
    wanted = set()
    for name in names:
        inner = name.removeprefix("data.") if operation.is_list else name
        if name.count(".") >= _EXPAND_DEPTH_MAX:
            raise InvalidParamError(
                f"You cannot expand more than {_EXPAND_DEPTH_MAX} levels of a property "
                f"({name[:100]}).",
                param="expand",
            )
        if inner not in operation.expandable or (operation.is_list and inner == name):
            raise InvalidParamError(
                f"This property cannot be expanded ({name[:100]}).", param="expand"
            )
        wanted.add(inner)
    return frozenset(wanted)


def no_such(noun: str, object_id: str, *, param: str = "id") -> NotFoundError:
    """Return the error for an id in the path that names nothing."""
    return NotFoundError(
        f"No such {noun}: '{object_id[:200]}'", param=param, code="resource_missing"
    )


def no_such_in_body(noun: str, object_id: str, *, param: str) -> InvalidParamError:
    """Return the error for an id in a parameter that names nothing."""
    return InvalidParamError(
        f"No such {noun}: '{object_id[:200]}'", param=param, code="resource_missing"
    )


def other_mode(*, livemode: bool) -> str:
    """Return what to add to "no such" when the id names an object of the other mode."""
    exists, used = ("test", "live") if livemode else ("live", "test")
    return (
        f"; a similar object exists in {exists} mode, but a {used} mode key was used to make this "
        "request."
    )
