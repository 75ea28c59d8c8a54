"""Traces for OpenTelemetry: a span for each request, commit and attempt to deliver an event.

Where they go, and how many of them, is told by the standard variables, such as
`OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_TRACES_SAMPLER`. They hold no payloads and no keys.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meterbell.clock import Clock
from meterbell.engine.model import EventRun
from meterbell.errors import SettingsError
from meterbell.ledger.committer import Committed

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_NS_PER_MS = 1_000_000
_PARENT = (b"traceparent", b"tracestate")
_WAITING_MAX = 16 * 1024  # spans that wait for a collector which is slow or away


class Traces:
    """Makes spans and sends them in a thread of their own."""

    def __init__(self, clock: Clock, *, exporter: "SpanExporter | None" = None) -> None:
        """Begin to send.

        Args:
            clock: The present.
            exporter: Where spans go; by default a collector, over HTTP.

        Raises:
            SettingsError: The packages for it are not installed.
        """
        try:
            from opentelemetry import propagate, trace  # noqa: PLC0415 - not always installed
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        except ImportError as error:
            raise SettingsError(
                f"Traces need packages that are not installed ({error.name}). Install them with "
                "`pip install 'meterbell[otel]'`, or start without --traces."
            ) from error
        self._clock = clock
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "meterbell"}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter or OTLPSpanExporter(), max_queue_size=_WAITING_MAX)
        )
        self._tracer = self._provider.get_tracer("meterbell")
        self._extract = propagate.extract
        self._server = trace.SpanKind.SERVER
        self._client = trace.SpanKind.CLIENT
        self._error = trace.StatusCode.ERROR

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return the application with a span around each request.

        A request that says in `traceparent` what it belongs to becomes a part of that trace.
        """

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            headers = {
                key.decode("latin-1"): text.decode("latin-1") for key, text in scope["headers"]
            }
            parent = {key: headers[key] for key in ("traceparent", "tracestate") if key in headers}
            span = self._tracer.start_span(
                scope["method"],
                context=self._extract(parent),
                kind=self._server,
                attributes={
                    "http.request.method": scope["method"],
                    "url.path": scope["path"],
                    "url.scheme": scope.get("scheme", "http"),
                },
            )

            async def watched_send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
                        span.set_status(self._error)
                await send(message)

            try:
                await app(scope, receive, watched_send)
            finally:
                span.end()

        return traced

    def group_committed(self, committed: Committed) -> None:
        """Make the span of a commit, with one for each phase."""
        end = self._clock.now_ms() * _NS_PER_MS
        stored = end - committed.store_ns
        begin = stored - committed.decide_ns
        group = committed.group
        span = self._tracer.start_span(
            "commit",
            start_time=begin,
            attributes={
                "meterbell.requests": len(committed.outcomes),
                "meterbell.meter_events": sum(
                    len(entry) for entry in group.entries if isinstance(entry, EventRun)
                ),
                "meterbell.triggers": len(group.triggers),
                "meterbell.decide_ms": committed.decide_ns / _NS_PER_MS,
                "meterbell.store_ms": committed.store_ns / _NS_PER_MS,
            },
        )
        span.end(end)

    def attempt_ended(self, outcome: str, attempt: int, milliseconds: int) -> None:
        """Make the span of an attempt to deliver an event, from the event's commit on."""
        end = self._clock.now_ms() * _NS_PER_MS
        span = self._tracer.start_span(
            "deliver",
            kind=self._client,
            start_time=end - milliseconds * _NS_PER_MS,
            attributes={"meterbell.outcome": outcome, "meterbell.attempt": attempt},
        )
        span.end(end)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


@contextmanager
def opened(clock: Clock, *, is_wanted: bool) -> Iterator[Traces | None]:
    """Send traces while inside, if they are wanted.

    Raises:
        SettingsError: The packages for it are not installed.
    """
    if not is_wanted:
        yield None
        return
    traces = Traces(clock)
    try:
        yield traces
    finally:
        traces.close()
