"""From a request to its answer: route → authenticate → decode → check → do → render.

One ASGI application. Whatever goes wrong on the way becomes a JSON error with a request id.
"""

import asyncio
from functools import partial
from http import HTTPStatus

import structlog
from starlette.types import Receive, Scope, Send

from meterbell.api import idempotency, listeners, requests
from meterbell.api.auth import Authenticator
from meterbell.api.call import Call, Operation, read_expand
from meterbell.api.errors import answer_to
from meterbell.api.http import (
    Answer,
    ClientGoneError,
    Headers,
    Report,
    Respond,
    headers_of,
    read_body,
    require_form,
    send_answer,
)
from meterbell.api.noting import Noter
from meterbell.api.pages import Pages
from meterbell.api.params import read_params
from meterbell.api.reference import reference_pages
from meterbell.api.routing import RouteTable
from meterbell.api.sockets import Sockets
from meterbell.api.telling import tell
from meterbell.api.v1 import (
    alert_insight,
    alerts,
    customer_pages,
    customers,
    deliveries,
    events,
    meter_events,
    meters,
    notification_channels,
    stripecli,
    summaries,
    webhook_endpoints,
)
from meterbell.api.v2 import stream
from meterbell.api.v2.route import ROUTE, Route
from meterbell.api.v2.router import PREFIX, ROUTES, V2Api
from meterbell.engine.decide import Recorded
from meterbell.ledger.transaction import Cause, Transaction
from meterbell.services import Services
from meterbell.wire.form import Form, parse_form
from meterbell.wire.json import encode_json
from meterbell.wire.objects import render_meter_event
from meterbell.wire.versions import DEFAULT_API_VERSION

OPERATIONS: list[Operation] = [
    *customers.OPERATIONS,
    *customer_pages.OPERATIONS,
    *meters.OPERATIONS,
    *summaries.OPERATIONS,
    *meter_events.OPERATIONS,
    *alerts.OPERATIONS,
    *alert_insight.OPERATIONS,
    *events.OPERATIONS,
    *webhook_endpoints.OPERATIONS,
    *notification_channels.OPERATIONS,
    *stripecli.OPERATIONS,
    *deliveries.OPERATIONS,
]
OURS = [*requests.OPERATIONS, *listeners.OPERATIONS]
_DEFAULT_VERSION = DEFAULT_API_VERSION.encode()
_REPLAYED = (b"idempotent-replayed", b"true")
_IS_PAGE = "meterbell.is_page"
_MICRO = 1_000_000
(_STREAM,) = stream.ROUTES
_tell = partial(tell, answer_to=answer_to, scheme=b"Basic")

logger = structlog.get_logger(__name__)


class Api:
    """The HTTP API over running services: an ASGI application, and a quicker way for usage.

    Attributes:
        reports: What reports usage in that quicker way, by the line that its requests begin with.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._authenticator = Authenticator(
            services.store,
            services.clock,
            test_key=services.settings.test_key,
            note_use=services.requests.keys.note,
        )
        self._v2 = V2Api(services, self._authenticator)
        self._in_flight = idempotency.InFlight()
        self._routes = RouteTable([*OPERATIONS, *OURS])
        self._pages = Pages(services, reference_pages([*OPERATIONS, *OURS], ROUTES))
        self._noter = Noter(services, self._authenticator, self._v2.sessions)
        self._feed = services.requests.feed
        self._sockets = Sockets(services, self._authenticator)
        self.reports: dict[bytes, Report] = {
            b"POST %b HTTP/1.1\r\n" % meter_events.CREATE.path.encode(): self._report_one,
            b"POST %b HTTP/1.1\r\n" % stream.PATH.encode(): self._report_stream,
        }

    def _report_one(self, headers: Headers, body: bytes, respond: Respond, begun: float) -> bool:
        """Count one meter event without a task of its own."""
        request_id = self._new_request_id()
        try:
            recording, event_name = self._begin_recording(headers, body)
        except Exception as error:  # noqa: BLE001 - told and logged there
            self._refuse(error, respond, request_id, headers, begun)
            return True

        def end(recorded: "asyncio.Future[Recorded]") -> None:
            try:
                answer = _recorded_answer(recorded.result(), event_name)
            except Exception as error:  # noqa: BLE001 - told and logged there
                self._refuse(error, respond, request_id, headers, begun)
            else:
                respond(answer, _common_headers(request_id, headers))
                if self._feed.is_listened:
                    self._note_usage(meter_events.CREATE, answer, request_id, headers, begun)

        recording.add_done_callback(end)
        return True

    def _report_stream(self, headers: Headers, body: bytes, respond: Respond, begun: float) -> bool:
        """Count the meter events of a stream's body, if it has the usual shape."""
        request_id = self._new_request_id()
        common = _common_headers(request_id, headers)

        def end(answer: Answer) -> None:
            respond(answer, common)
            if answer.status != HTTPStatus.OK or self._feed.is_listened:
                self._note_usage(_STREAM, answer, request_id, headers, begun)

        return self._v2.report_stream(headers, body, request_id, end)

    def _refuse(
        self, error: Exception, respond: Respond, request_id: str, headers: Headers, begun: float
    ) -> None:
        """Answer that a meter event is not counted."""
        answer = _tell(error, request_id)
        respond(answer, _common_headers(request_id, headers))
        self._note_usage(meter_events.CREATE, answer, request_id, headers, begun)

    def _note_usage(
        self,
        route: Operation | Route,
        answer: Answer,
        request_id: str,
        headers: Headers,
        begun: float,
    ) -> None:
        """Tell the request log of usage that came the quicker way, if that failed or is watched."""
        seconds = asyncio.get_running_loop().time() - begun
        self._noter.note(
            route,
            answer,
            request_id=request_id,
            method=route.method,
            path=route.path,
            headers=headers,
            duration_us=round(seconds * _MICRO),
        )

    def _begin_recording(
        self, headers: Headers, body: bytes
    ) -> tuple["asyncio.Future[Recorded]", str]:
        """Hand one meter event to the ledger; return what becomes of it, and its event name.

        Raises:
            RequestError: It is not acceptable.
            OverloadedError: The commit queue is full.
            StoreUnavailableError: Nothing is acknowledged any more.
        """
        operation = meter_events.CREATE
        self._services.committer.require_room()
        principal = self._authenticator.authenticate(headers.get(b"authorization"))
        principal.require(operation.method, is_ingest=operation.is_ingest)
        require_form(headers, body)
        form = parse_form(body)
        params = meter_events.usual_params(form)
        if params is None:
            params = read_params(operation.declared, form)
        key = idempotency.read_key(headers.get(b"idempotency-key"))
        read_expand(operation, params.pop("expand", []))
        request = meter_events.usage_request(
            params,
            livemode=principal.livemode,
            request_key=idempotency.digest_key(key) if key else b"",
            request_digest=idempotency.digest_params(form) if key else b"",
        )
        return self._services.committer.begin(request), request.event_name

    def _new_request_id(self) -> str:
        return f"req_{self._services.ids.token(14)}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
            return
        begun_ns = self._services.clock.monotonic_ns()
        request_id = self._new_request_id()
        headers = headers_of(scope)
        try:
            answers = self._v2.answer if scope["path"].startswith(PREFIX) else self._answer
            answer = await answers(scope, receive, headers, request_id)
        except ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001 - told and logged there
            answer = _tell(error, request_id)
        duration_us = (self._services.clock.monotonic_ns() - begun_ns) // 1000
        await send_answer(send, answer, _common_headers(request_id, headers))
        if _IS_PAGE not in scope:
            self._noter.note(
                scope.get(ROUTE),
                answer,
                request_id=request_id,
                method=scope["method"],
                path=scope["path"],
                headers=headers,
                duration_us=duration_us,
            )

    async def _answer(
        self, scope: Scope, receive: Receive, headers: Headers, request_id: str
    ) -> Answer:
        method, path = scope["method"], scope["path"]
        page = self._pages.find(method, path)
        if page is not None:
            scope[_IS_PAGE] = True
            return page
        operation, ids = self._routes.find(method, path)
        scope[ROUTE] = operation
        if operation is meter_events.CREATE:
            body = await read_body(receive, headers)
            raw = b"&".join(part for part in (scope["query_string"], body) if part)
            recording, event_name = self._begin_recording(headers, raw)
            return _recorded_answer(await recording, event_name)
        if operation.is_ingest:
            self._services.committer.require_room()
        principal = self._authenticator.authenticate(headers.get(b"authorization"))
        asks = "GET" if operation.changes_nothing else method
        principal.require(asks, is_ingest=operation.is_ingest)
        raw = scope["query_string"]
        if method == "POST":
            body = await read_body(receive, headers)
            require_form(headers, body)
            raw = b"&".join(part for part in (raw, body) if part)
        form = parse_form(raw)
        params = read_params(operation.declared, form)
        key = idempotency.read_key(headers.get(b"idempotency-key")) if method == "POST" else None
        call = Call(
            services=self._services,
            livemode=principal.livemode,
            expand=read_expand(operation, params.pop("expand", [])),
            params=params,
            ids=ids,
            url=path,
            cause=Cause(request_id, key),
            key_id=principal.key_id,
            headers=headers,
        )
        if operation.answer is not None:
            return Answer(HTTPStatus.OK, encode_json(await operation.answer(call)))
        if operation.read is not None:
            return Answer(HTTPStatus.OK, encode_json(operation.read(call)))
        if operation.prepare is not None:
            call = await operation.prepare(call)
        return await self._write(call, operation, form, key)

    async def _write(self, call: Call, operation: Operation, form: Form, key: str | None) -> Answer:
        """Run a change in commit order, once for each Idempotency-Key."""
        committer = self._services.committer
        write = operation.write
        assert write is not None, f"{operation.path} neither reads nor writes"
        if key is None:
            rendered = await committer.execute(partial(write, call))
            return Answer(HTTPStatus.OK, encode_json(rendered))
        digest = idempotency.digest_params(form)

        def command(transaction: Transaction) -> Answer:
            reply, is_replay = idempotency.answer_once(
                transaction,
                self._services.vault,
                key=key,
                livemode=call.livemode,
                request=f"{operation.method} {call.url}",
                digest=digest,
                request_id=call.cause.request_id or "",
                run=lambda: encode_json(write(call, transaction)),
            )
            headers: list[tuple[bytes, bytes]] = []
            if reply.status != HTTPStatus.OK:
                headers.append((b"stripe-should-retry", b"false"))
            if is_replay:
                headers += [_REPLAYED, (b"original-request", reply.request_id.encode())]
            return Answer(reply.status, reply.body, tuple(headers))

        self._in_flight.enter(key, livemode=call.livemode)
        # The work goes on if the client leaves, so the key stays taken until it has ended.
        work: asyncio.Task[Answer] = asyncio.create_task(committer.execute(command))
        work.add_done_callback(partial(self._finish, key, livemode=call.livemode))
        return await asyncio.shield(work)

    def _finish(self, key: str, work: asyncio.Task[Answer], *, livemode: bool) -> None:
        self._in_flight.leave(key, livemode=livemode)
        if not work.cancelled():
            work.exception()  # seen here, should the client have left


def _recorded_answer(recorded: Recorded, event_name: str) -> Answer:
    body = encode_json(render_meter_event(recorded.event, event_name=event_name))
    return Answer(HTTPStatus.OK, body, (_REPLAYED,) if recorded.replayed else ())


def _common_headers(request_id: str, headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that every answer has."""
    version = headers.get(b"stripe-version", _DEFAULT_VERSION)
    common = ((b"request-id", request_id.encode()), (b"stripe-version", version))
    key = headers.get(b"idempotency-key")
    return (*common, (b"idempotency-key", key)) if key else common
