"""From a v2 request to its answer: route → authenticate → decode → do → render, all in JSON."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
import structlog
from starlette.types import Receive, Scope

from meterbell.api import idempotency
from meterbell.api.auth import Authenticator, Principal
from meterbell.api.call import Call
from meterbell.api.errors import answer_to_v2
from meterbell.api.http import Answer, ClientGoneError, Headers, read_body
from meterbell.api.params import read_params
from meterbell.api.routing import RouteTable
from meterbell.api.telling import tell
from meterbell.api.v2 import event_destinations, events, meter_events, sessions, stream
from meterbell.api.v2.bodies import decode_body, require_json
from meterbell.api.v2.route import NOT_KEYED, ROUTE, Keyed, Replayable, Route
from meterbell.api.v2.sessions import SessionAuthenticator
from meterbell.engine.stream import StreamBatch
from meterbell.ledger.transaction import Cause, Transaction
from meterbell.services import Services
from meterbell.wire.form import parse_form
from meterbell.wire.json import encode_json

PREFIX = "/v2/"
ROUTES: list[Route] = [
    *meter_events.ROUTES,
    *sessions.ROUTES,
    *stream.ROUTES,
    *events.ROUTES,
    *event_destinations.ROUTES,
]

_REPLAYED = (b"idempotent-replayed", b"true")
_NOTHING = Answer(HTTPStatus.OK, b"{}")
_DONE_BEFORE = Answer(HTTPStatus.OK, b"{}", (_REPLAYED,))
_STREAMED_MAX = 20_000
_sorted = msgspec.json.Encoder(order="sorted").encode

T = TypeVar("T")
_tell = partial(tell, answer_to=answer_to_v2, scheme=b"Bearer")

logger = structlog.get_logger(__name__)


class V2Api:
    """The v2 routes over running services.

    Attributes:
        sessions: Knows the tokens of streams.
    """

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services = services
        self._authenticator = authenticator
        self.sessions = SessionAuthenticator(services, authenticator)
        self._in_flight = idempotency.InFlight()
        self._streamed = idempotency.Recent(_STREAMED_MAX)
        self._routes = RouteTable(ROUTES)

    async def answer(
        self, scope: Scope, receive: Receive, headers: Headers, request_id: str
    ) -> Answer:
        """Return the answer to a request, whatever goes wrong on the way.

        Raises:
            ClientGoneError: There is nobody to answer.
        """
        try:
            return await self._answer(scope, receive, headers, request_id)
        except ClientGoneError:
            raise
        except Exception as error:  # noqa: BLE001 - told and logged there
            return _tell(error, request_id)

    def report_stream(
        self, headers: Headers, raw: bytes, request_id: str, respond: Callable[[Answer], None]
    ) -> bool:
        """Count the meter events of a stream's body, if it has the usual shape.

        Returns:
            False if it has another shape; then nothing happened.
        """
        try:
            route = self._routes.fixed["POST", stream.PATH]
            self._services.committer.require_room()
            principal = self._authenticate(route, headers)
            principal.require(route.method, is_ingest=route.is_ingest)
            require_json(headers, raw)
            batch = self._usual_batch(raw, principal)
            if batch is None:
                return False
            recording = self._begin_stream(batch, raw, headers)
        except Exception as error:  # noqa: BLE001 - told and logged there
            respond(_tell(error, request_id))
            return True
        if recording is None:
            respond(_DONE_BEFORE)
            return True

        def end(done: "asyncio.Future[None]") -> None:
            try:
                done.result()
            except Exception as error:  # noqa: BLE001 - told and logged there
                respond(_tell(error, request_id))
            else:
                respond(_NOTHING)

        recording.add_done_callback(end)
        return True

    async def _answer(
        self, scope: Scope, receive: Receive, headers: Headers, request_id: str
    ) -> Answer:
        method, path = scope["method"], scope["path"]
        route, ids = self._routes.find(method, path)
        scope[ROUTE] = route
        if route.is_ingest:
            self._services.committer.require_room()
        principal = self._authenticate(route, headers)
        principal.require(method, is_ingest=route.is_ingest)
        raw = b""
        settings = self._services.settings
        if method == "POST":
            raw = await read_body(receive, headers, bytes_max=route.body_bytes_max(settings))
            require_json(headers, raw)
        if path == stream.PATH and not scope["query_string"]:
            batch = self._usual_batch(raw, principal)
            if batch is not None:
                recording = self._begin_stream(batch, raw, headers)
                if recording is None:
                    return _DONE_BEFORE
                await recording
                return _NOTHING
        params = read_params(route.query, parse_form(scope["query_string"]))
        key = None
        if method != "GET":
            key = idempotency.read_key(headers.get(b"idempotency-key"))
        call = Call(
            services=self._services,
            livemode=principal.livemode,
            expand=frozenset(),
            params=params,
            ids=ids,
            url=path,
            cause=Cause(request_id, key),
            key_id=principal.key_id,
        )
        if route.read is not None:
            return Answer(HTTPStatus.OK, encode_json(route.read(call)))
        body = decode_body(raw, route.body, key_count=route.key_count)
        keyed = _keyed(call, route, raw, params)
        if route.record is not None:
            record = partial(route.record, call, body, keyed)
            if route.takes_session and key is not None:
                begin = partial(_begun, record)
                work = self._begin_once(call.livemode, key, keyed, begin)
                done = Replayable({}, replayed=True) if work is None else await work
            else:
                done = await record()
            return Answer(
                HTTPStatus.OK, encode_json(done.body), (_REPLAYED,) if done.replayed else ()
            )
        return await self._write(call, route, body, keyed)

    def _authenticate(self, route: Route, headers: Headers) -> Principal:
        header = headers.get(b"authorization")
        if route.takes_session:
            return self.sessions.authenticate(header)
        return self._authenticator.authenticate(header)

    def _usual_batch(self, raw: bytes, principal: Principal) -> StreamBatch | None:
        return stream.usual_batch(
            raw, livemode=principal.livemode, settings=self._services.settings
        )

    def _begin_stream(
        self, batch: StreamBatch, raw: bytes, headers: Headers
    ) -> "asyncio.Future[None] | None":
        """Begin to report usage of the usual shape; None if the same request did that before."""
        begin = partial(self._services.committer.begin_stream, batch)
        key = idempotency.read_key(headers.get(b"idempotency-key"))
        if key is None:
            return begin()
        keyed = Keyed(idempotency.digest_key(key), _digest(raw))
        return self._begin_once(batch.livemode, key, keyed, begin)

    def _begin_once(
        self,
        livemode: bool,  # noqa: FBT001
        key: str,
        keyed: Keyed,
        begin: "Callable[[], asyncio.Future[T]]",
    ) -> "asyncio.Future[T] | None":
        """Begin to report usage of a stream, unless the same request did that lately.

        A request that is sent again is known for a while, so that identifiers that repeat with it
        are not reported. What makes usage count once is the ledger's business in any case.
        """
        if (livemode, keyed) in self._streamed:
            return None
        self._in_flight.enter(key, livemode=livemode)

        def end(done: "asyncio.Future[T]") -> None:
            self._in_flight.leave(key, livemode=livemode)
            if not done.cancelled() and done.exception() is None:
                self._streamed.add((livemode, keyed))

        try:
            recording = begin()
        except BaseException:
            self._in_flight.leave(key, livemode=livemode)
            raise
        recording.add_done_callback(end)
        return recording

    async def _write(self, call: Call, route: Route, body: Any, keyed: Keyed) -> Answer:  # noqa: ANN401
        """Run a change in commit order; a success is not repeated for the same Idempotency-Key."""
        committer, write, key = self._services.committer, route.write, call.cause.idempotency_key
        assert write is not None, f"{route.path} neither reads nor writes"
        if route.prepare is not None:
            call = await route.prepare(call, body)
        if key is None:
            rendered = await committer.execute(partial(write, call, body))
            return Answer(HTTPStatus.OK, encode_json(rendered))

        def command(transaction: Transaction) -> Answer:
            reply, is_replay = idempotency.answer_once(
                transaction,
                self._services.vault,
                key=key,
                livemode=call.livemode,
                request=f"{route.method} {call.url}",
                digest=keyed.digest,
                request_id=call.cause.request_id or "",
                run=lambda: encode_json(write(call, body, transaction)),
                keeps_failures=False,
            )
            replayed = (_REPLAYED, (b"original-request", reply.request_id.encode()))
            return Answer(reply.status, reply.body, replayed if is_replay else ())

        self._in_flight.enter(key, livemode=call.livemode)
        # The work goes on if the client leaves, so the key stays taken until it has ended.
        work: asyncio.Task[Answer] = asyncio.create_task(committer.execute(command))
        work.add_done_callback(partial(self._finish, key, call.livemode))
        return await asyncio.shield(work)

    def _finish(self, key: str, livemode: bool, work: asyncio.Task[Answer]) -> None:  # noqa: FBT001
        self._in_flight.leave(key, livemode=livemode)
        if not work.cancelled():
            work.exception()  # seen here, should the client have left


def _begun(record: Callable[[], Awaitable[Replayable]]) -> "asyncio.Future[Replayable]":
    return asyncio.ensure_future(record())


def _keyed(call: Call, route: Route, raw: bytes, params: Mapping[str, Any]) -> Keyed:
    """Return what a request's Idempotency-Key stands for."""
    key = call.cause.idempotency_key
    if key is None:
        return NOT_KEYED
    content = raw
    if not route.takes_session:
        # Whatever the order of its keys; on the stream that would take longer than all the rest.
        content = _sorted((route.method, call.url, msgspec.json.decode(raw or b"{}"), params))
    return Keyed(idempotency.digest_key(key), _digest(content))


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=8).digest()
