"""What holds for every request: routes, headers, bodies, and the one table of errors."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Scope

from meterbell import errors
from meterbell.api.errors import ANSWERS, answer_to
from meterbell.api.routes import OPERATIONS, OURS
from meterbell.api.routes import Api as HttpApi
from meterbell.errors import (
    MeterbellError,
    OverloadedError,
    RequestError,
    StoreFailedError,
    StoreUnavailableError,
)
from meterbell.settings import Settings
from meterbell.wire.form import BODY_BYTES_MAX
from meterbell.wire.versions import DEFAULT_API_VERSION
from tests.unit.api.running import FORM, TEST_KEY, Api, Failing, running_api, usage


def leaves(error: type[MeterbellError] = MeterbellError) -> list[type[MeterbellError]]:
    """Return every error that is raised, which is all but the families."""
    below = [leaf for child in error.__subclasses__() for leaf in leaves(child)]
    families = {MeterbellError, RequestError}
    own = [] if error in families or not hasattr(errors, error.__name__) else [error]
    return own + below


def test_every_error_has_a_row_and_no_row_is_left_over() -> None:
    assert set(ANSWERS) == {leaf for leaf in leaves() if leaf.__module__ == errors.__name__}


def usage_refused(message: str) -> errors.UsageRefusedError:
    return errors.UsageRefusedError(message, reason="no_meter")


TABLE: list[tuple[Callable[[str], MeterbellError], int, str, str | None, bool]] = [
    # error, status, type, code, retry
    (errors.InvalidParamError, 400, "invalid_request_error", None, False),
    (usage_refused, 400, "invalid_request_error", None, False),
    (errors.NotFoundError, 404, "invalid_request_error", "resource_missing", False),
    (errors.DuplicateIdentifierError, 400, "invalid_request_error", None, False),
    (errors.LimitReachedError, 400, "invalid_request_error", None, False),
    (errors.AuthenticationError, 401, "invalid_request_error", None, False),
    (errors.TooManyAttemptsError, 429, "invalid_request_error", "rate_limit", False),
    (
        errors.SessionExpiredError,
        401,
        "temporary_session_expired",
        "billing_meter_event_session_expired",
        False,
    ),
    (errors.PermissionDeniedError, 403, "invalid_request_error", None, False),
    (errors.IdempotencyMismatchError, 400, "idempotency_error", None, False),
    (errors.IdempotencyInUseError, 409, "invalid_request_error", "idempotency_key_in_use", True),
    (errors.BodyTooLargeError, 413, "invalid_request_error", None, False),
    (errors.UnsupportedMediaTypeError, 415, "invalid_request_error", None, False),
    (errors.MethodNotAllowedError, 405, "invalid_request_error", None, False),
    (errors.OverloadedError, 429, "invalid_request_error", "rate_limit", True),
    (errors.StoreUnavailableError, 503, "api_error", None, True),
    (errors.StoreFailedError, 503, "api_error", None, True),
    (errors.SecretUnreadableError, 500, "api_error", None, False),
    (errors.SettingsError, 500, "api_error", None, False),
]


@pytest.mark.parametrize(("error", "status", "kind", "code", "retry"), TABLE)
def test_the_table_of_errors(
    error: Callable[[str], MeterbellError], status: int, kind: str, code: str | None, *, retry: bool
) -> None:
    answer, body = answer_to(error("What was wrong."))

    assert (answer.status, answer.should_retry) == (status, retry)
    wanted = {"type": kind, "message": "What was wrong."}
    assert body == {"error": wanted if code is None else {**wanted, "code": code}}


def test_the_table_above_is_whole() -> None:
    assert {type(row[0]("No.")) for row in TABLE} == set(ANSWERS)


def test_an_error_may_name_its_code_and_parameter() -> None:
    error = errors.InvalidParamError("No.", param="a[b]", code="parameter_missing")

    assert answer_to(error)[1]["error"] == {
        "type": "invalid_request_error",
        "code": "parameter_missing",
        "param": "a[b]",
        "message": "No.",
    }


def test_an_unexpected_error_tells_nothing_of_itself() -> None:
    answer, body = answer_to(KeyError("secret"))

    assert (answer.status, body["error"]["type"]) == (500, "api_error")
    assert "secret" not in body["error"]["message"]


def with_failing_committer(api: Api, error: Exception) -> Api:
    services: Any = _Replaced(api.services, committer=Failing(error))
    return Api(HttpApi(services), services, api.clock)


class _Replaced:
    """Services of which some are others."""

    def __init__(self, services: object, **others: object) -> None:
        self._services = services
        self._others = others

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return self._others.get(name) or getattr(self._services, name)


@pytest.mark.parametrize("path", ["/v1/billing/meter_events", "/v1/customers"])
@pytest.mark.parametrize(
    ("error", "status", "kind", "headers"),
    [
        (
            OverloadedError("Too many."),
            429,
            "invalid_request_error",
            {"retry-after": "1", "stripe-rate-limited-reason": "global-concurrency"},
        ),
        (StoreUnavailableError("Busy."), 503, "api_error", {}),
        (StoreFailedError("Broken."), 503, "api_error", {}),
    ],
)
async def test_what_may_be_sent_again_says_so(
    api: Api,
    *,
    path: str,
    error: MeterbellError,
    status: int,
    kind: str,
    headers: dict[str, str],
) -> None:
    failing = with_failing_committer(api, error)
    params = usage() if "meter" in path else {}

    reply = await failing.post(path, params, headers={"Idempotency-Key": "k"})
    again = await failing.post(path, params, headers={"Idempotency-Key": "k"})

    assert (reply.status, reply.error["type"]) == (status, kind)
    assert reply.headers["stripe-should-retry"] == "true"
    assert headers.items() <= reply.headers.items()
    assert again.status == status, "the key is free again"


@pytest.mark.parametrize("path", ["/v1/billing/meter_events", "/v1/customers"])
async def test_an_unforeseen_failure_is_a_500_with_a_body(api: Api, path: str) -> None:
    failing = with_failing_committer(api, ZeroDivisionError("secret"))

    reply = await failing.post(path, usage() if "meter" in path else {})

    assert (reply.status, reply.error["type"]) == (500, "api_error")
    assert b"secret" not in reply.raw
    assert reply.headers["request-id"].startswith("req_")


async def test_a_full_queue_refuses(tmp_path: Path, migrated: Path) -> None:
    settings = Settings(test_key=TEST_KEY, queue_max=1)
    async with running_api(tmp_path, migrated, settings=settings) as api:
        replies = await asyncio.gather(*(api.post("/v1/customers") for _ in range(3)))

        assert sorted(reply.status for reply in replies) == [200, 429, 429]


ROUTES = [
    ("GET", "/"),
    ("GET", "/v1"),
    ("GET", "/v1/nope"),
    ("GET", "/v1/customers/"),
    ("GET", "/v1/customers/a/b"),
    ("GET", "/V1/customers"),
    ("POST", "/v3/billing/nope"),
    ("GET", "/v1/billing/meters/mtr_1/event_summaries/x"),
    ("GET", "/docs/../openapi.json"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_an_unknown_route_is_a_404(api: Api, method: str, path: str) -> None:
    reply = await api.send(method, path, key="")

    assert reply.status == 404
    assert reply.error["type"] == "invalid_request_error"
    assert reply.error["message"].startswith(f"Unrecognized request URL ({method}: {path}).")
    assert reply.headers["stripe-should-retry"] == "false"


@pytest.mark.parametrize(
    ("method", "path", "takes"),
    [
        ("PUT", "/v1/customers", "POST, GET"),
        ("DELETE", "/v1/billing/meters/mtr_1", "GET, POST"),
        ("GET", "/v1/billing/meter_events", "POST"),
        ("PATCH", "/v1/events/evt_1", "GET"),
        ("HEAD", "/v1/customers", "POST, GET"),
    ],
)
async def test_another_method_is_a_405_that_names_the_right_ones(
    api: Api, method: str, path: str, takes: str
) -> None:
    reply = await api.send(method, path)

    assert reply.status == 405
    assert f"This URL takes {takes}." in reply.error["message"]
    assert reply.headers["allow"] == takes


@pytest.mark.parametrize("operation", [*OPERATIONS, *OURS], ids=lambda o: f"{o.method} {o.path}")
async def test_every_route_needs_a_key_and_refuses_what_it_does_not_know(
    api: Api,
    operation: Any,  # noqa: ANN401
) -> None:
    path = operation.path.replace("{id}", "x_1").replace("{customer}", "cus_1")

    no_key = await api.send(operation.method, path, key="")
    unknown = await api.send(operation.method, path, {"no_such_parameter": "1"})
    bad_expand = await api.send(operation.method, path, b"expand[]=nope&")

    assert no_key.status == 401
    assert (unknown.status, unknown.error["code"]) == (400, "parameter_unknown")
    assert unknown.error["param"] == "no_such_parameter"
    assert bad_expand.status == 400
    for reply in (no_key, unknown, bad_expand):
        assert reply.headers["request-id"].startswith("req_")
        assert reply.headers["content-type"] == "application/json; charset=utf-8"
        assert int(reply.headers["content-length"]) == len(reply.raw)


async def test_requests_have_ids_of_their_own(api: Api) -> None:
    ids = [(await api.get("/v1/customers")).headers["request-id"] for _ in range(3)]

    assert len(set(ids)) == 3


async def test_the_version_is_echoed(api: Api) -> None:
    without = await api.get("/v1/customers")
    with_one = await api.get("/v1/customers", headers={"Stripe-Version": "2099-01-01.new"})

    assert without.headers["stripe-version"] == DEFAULT_API_VERSION
    assert with_one.headers["stripe-version"] == "2099-01-01.new"
    assert with_one.status == 200


async def test_the_key_of_a_refused_request_is_echoed_too(api: Api) -> None:
    reply = await api.post("/v1/customers", {"no": "1"}, headers={"Idempotency-Key": "abc"})

    assert (reply.status, reply.headers["idempotency-key"]) == (400, "abc")


async def test_a_body_may_come_in_pieces(api: Api) -> None:
    reply = await api.post("/v1/customers", chunks=[b"na", b"me=A", b"", b"da"])

    assert reply.body["name"] == "Ada"


async def test_a_post_may_have_no_body(api: Api) -> None:
    assert (await api.post("/v1/customers", chunks=[b""])).status == 200


async def test_parameters_of_a_post_may_stand_in_its_query(api: Api) -> None:
    assert (await api.post("/v1/customers?name=Ada", b"phone=1")).body["name"] == "Ada"
    twice = await api.post("/v1/customers?name=Ada", b"name=Ada")
    assert (twice.status, twice.error["param"]) == (400, "name")


@pytest.mark.parametrize(
    "chunks",
    [
        [b"name=" + b"a" * BODY_BYTES_MAX],
        [b"name=", b"a" * BODY_BYTES_MAX],
        [b"name="] + [b"a" * 100_000] * 20,
    ],
    ids=["whole", "two", "many"],
)
async def test_a_body_that_is_too_large_is_refused(api: Api, chunks: list[bytes]) -> None:
    reply = await api.post("/v1/customers", chunks=chunks)

    assert reply.status == 413
    assert str(BODY_BYTES_MAX) in reply.error["message"]


@pytest.mark.parametrize("length", [str(BODY_BYTES_MAX + 1), "9" * 5000])
async def test_a_body_that_says_it_is_too_large_is_not_read(api: Api, length: str) -> None:
    reply = await api.post("/v1/customers", headers={"Content-Length": length})

    assert reply.status == 413


@pytest.mark.parametrize("length", ["", "abc", "-1"])
async def test_a_senseless_length_is_ignored(api: Api, length: str) -> None:
    reply = await api.post("/v1/customers", {"name": "a"}, headers={"Content-Length": length})

    assert reply.status == 200


@pytest.mark.parametrize("kind", [FORM, f"{FORM}; charset=UTF-8", FORM.upper()])
async def test_forms_are_read(api: Api, kind: str) -> None:
    assert (
        await api.post("/v1/customers", b"name=a", headers={"Content-Type": kind})
    ).status == 200


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data", "text/plain", "x\u00e4"]
)
async def test_other_kinds_of_body_are_refused(api: Api, kind: str) -> None:
    reply = await api.post("/v1/customers", b"{}", headers={"Content-Type": kind})

    assert reply.status == 415
    assert FORM in reply.error["message"]


async def test_a_content_type_without_a_body_is_fine(api: Api) -> None:
    headers = {"Content-Type": "application/json"}

    assert (await api.get("/v1/customers", headers=headers)).status == 200
    assert (await api.post("/v1/customers", headers=headers)).status == 200


async def test_nothing_is_sent_to_a_client_that_left(api: Api) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/customers",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {TEST_KEY}".encode())],
    }
    await api.app(scope, receive, send)

    assert sent == []


async def test_a_websocket_that_leads_nowhere_is_refused(api: Api) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await api.app({"type": "websocket", "path": "/v1/none", "headers": []}, receive, send)

    assert sent[0]["type"] == "websocket.http.response.start"
    assert 400 <= sent[0]["status"] < 500


async def test_health_needs_no_key(api: Api) -> None:
    for path in ("/healthz", "/readyz"):
        reply = await api.get(path, key="")
        assert (reply.status, reply.body) == (200, {"status": "ok"})


async def test_a_server_in_trouble_is_not_ready(api: Api) -> None:
    for name, value, why in (
        ("failed", True, "store failed"),
        ("waiting", 10_000, "queue is full"),
    ):
        committer = Failing(StoreFailedError("Broken."))
        setattr(committer, name, value)
        services: Any = _Replaced(api.services, committer=committer)
        troubled = Api(HttpApi(services), services, api.clock)

        assert (await troubled.get("/healthz", key="")).status == 200
        reply = await troubled.get("/readyz", key="")
        assert (reply.status, why in reply.body["reason"]) == (503, True)
