"""Spans of requests, commits and deliveries, as a collector gets them."""

import builtins
import sys
from types import ModuleType
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import Message, Receive, Scope, Send

from meterbell.clock import SettableClock
from meterbell.engine.decide import Group
from meterbell.engine.state import State
from meterbell.errors import SettingsError
from meterbell.ledger.committer import Committed
from meterbell.traces import Traces, opened
from tests.builders import NOW

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def answered(
    status: int, headers: list[tuple[bytes, bytes]], kind: str = "http"
) -> tuple[ReadableSpan, ...]:
    exporter = InMemorySpanExporter()
    traces = Traces(SettableClock(NOW * 1000), exporter=exporter)

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        raise AssertionError("nothing is received")

    async def send(message: Message) -> None:
        sent.append(message)

    sent: list[Message] = []
    scope = {"type": kind, "method": "POST", "path": "/v1/customers", "headers": headers}
    await traces.around(app)(scope, receive, send)
    traces.close()
    assert len(sent) == 2
    return exporter.get_finished_spans()


async def test_a_request_is_a_span_with_its_method_path_and_status() -> None:
    headers = [(b"authorization", b"Bearer sk_test_secret"), (b"traceparent", PARENT.encode())]
    (span,) = await answered(200, headers)

    assert (span.name, span.kind) == ("POST", SpanKind.SERVER)
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "url.path": "/v1/customers",
        "url.scheme": "http",
        "http.response.status_code": 200,
    }
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" in PARENT
    assert f"{span.parent.span_id:016x}" in PARENT
    assert span.resource.attributes["service.name"] == "meterbell"
    assert "secret" not in span.to_json()


async def test_an_answer_of_ours_that_failed_is_an_error() -> None:
    (failed,) = await answered(503, [])
    (refused,) = await answered(404, [])

    assert failed.status.status_code is StatusCode.ERROR
    assert refused.status.status_code is StatusCode.UNSET
    assert await answered(200, [], kind="websocket") == ()


def test_commits_and_deliveries_are_spans_of_their_length() -> None:
    exporter = InMemorySpanExporter()
    traces = Traces(SettableClock(NOW * 1000), exporter=exporter)

    group = Group(State(), lambda _: None, now_ms=0)
    traces.group_committed(Committed(group, [None, None], 3_000_000, 2_000_000))
    traces.attempt_ended("succeeded", 1, 250)
    traces.close()

    commit, delivery = exporter.get_finished_spans()
    assert commit.end_time == delivery.end_time == NOW * 10**9
    assert commit.start_time == NOW * 10**9 - 5_000_000
    assert delivery.start_time == NOW * 10**9 - 250_000_000
    assert dict(commit.attributes or {}) == {
        "meterbell.requests": 2,
        "meterbell.meter_events": 0,
        "meterbell.triggers": 0,
        "meterbell.decide_ms": 3.0,
        "meterbell.store_ms": 2.0,
    }
    assert dict(delivery.attributes or {}) == {
        "meterbell.outcome": "succeeded",
        "meterbell.attempt": 1,
    }


def test_without_the_packages_the_start_is_refused_in_plain_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def lacking(name: str, *more: Any) -> ModuleType:  # noqa: ANN401
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(name=name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", lacking)
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    clock = SettableClock(NOW * 1000)

    with (
        pytest.raises(SettingsError, match=r"pip install 'meterbell\[otel\]'"),
        opened(clock, is_wanted=True),
    ):
        pass
    with opened(clock, is_wanted=False) as traces:
        assert traces is None
