"""The declaration of a v2 route: what it takes, does and returns."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from meterbell.api.call import Call, Successes
from meterbell.api.params import Param
from meterbell.ledger.transaction import Transaction
from meterbell.settings import Settings
from meterbell.wire.form import BODY_BYTES_MAX

ROUTE = "meterbell.route"
"""Where a request's scope holds its route, once that is found."""


class NoParams(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of a POST that takes no parameters: `{}`, or nothing."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """What a request's Idempotency-Key stands for.

    Attributes:
        key: Digest of the key; empty without one.
        digest: Of the request; empty without a key.
    """

    key: bytes = b""
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Replayable:
    """An answer's body, and whether an earlier request with the same key made it."""

    body: dict[str, Any]
    replayed: bool = False


NOT_KEYED = Keyed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of the v2 API. It has one of `read`, `write` and `record`.

    Attributes:
        path: With placeholders: `/v2/core/events/{id}`.
        summary: For the reference, in a few words.
        tag: Where it stands in the reference.
        returns: The schema of the answer; `list:…` for a list.
        body: What a POST's JSON is decoded into.
        query: Parameters of a GET.
        read: Answers from what is committed; runs on the event loop.
        prepare: Finds out what `write` must know and has no time for.
        write: Changes something and answers; runs in commit order, once for each Idempotency-Key.
        record: Does its work on the event loop; what makes it happen once is its own business.
        is_ingest: Whether a key that may only report usage may call it.
        takes_session: Whether the bearer is the token of a session, in place of an API key.
        key_count: How many keys a body has in which none stands twice; spares a second look at it.
        body_bytes_max: How long a body may be.
        successes: What the request log does with them.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    summary: str
    tag: str
    returns: str
    body: type[msgspec.Struct] = NoParams
    query: Mapping[str, Param] = field(default_factory=dict)
    read: Callable[[Call], dict[str, Any]] | None = None
    prepare: Callable[[Call, Any], Awaitable[Call]] | None = None
    write: Callable[[Call, Any, Transaction], dict[str, Any]] | None = None
    record: Callable[[Call, Any, Keyed], Awaitable[Replayable]] | None = None
    is_ingest: bool = False
    takes_session: bool = False
    key_count: Callable[[Any], int] | None = None
    body_bytes_max: Callable[[Settings], int] = lambda _settings: BODY_BYTES_MAX
    successes: Successes = "kept"

    @property
    def is_list(self) -> bool:
        """Whether the answer is a list."""
        return self.returns.startswith("list:")
