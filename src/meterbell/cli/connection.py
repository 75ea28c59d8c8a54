"""Which server a client command talks to, with which key, and one request to it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import typer

from meterbell.cli.output import EXIT_USAGE, CommandError, reported
from meterbell.folder import read_server, read_test_key
from meterbell.keys import mode_of

if TYPE_CHECKING:
    import stripe

DATA_DEFAULT = "meterbell-data"
_RETRIES_MAX = 2

ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="METERBELL_API_KEY",
        help="Key to use. Default: the test key of the server on --data.",
        show_default=False,
    ),
]
ApiBaseOption = Annotated[
    str | None,
    typer.Option(
        "--api-base",
        envvar="METERBELL_API_BASE",
        help="Address of the server. Default: the one running on --data.",
        show_default=False,
    ),
]
DataOption = Annotated[
    str,
    typer.Option(
        "--data", envvar="METERBELL_DATA", help="Data folder of a server on this machine."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Target(NamedTuple):
    """A server and a key for it; `url` ends without a slash."""

    url: str
    key: str

    @property
    def mode(self) -> str:
        """`live` or `test`."""
        return "live" if mode_of(self.key) else "test"


class Reply(NamedTuple):
    """What the API answered; `body` is the JSON as it came."""

    data: dict[str, Any]
    body: str


class UnreachableError(CommandError):
    """There is no server now, or none that answers."""


class RefusedError(CommandError):
    """The API answered with an error; `code` and `param` are its own words."""

    def __init__(self, message: str, *, code: str | None, param: str | None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def find_target(*, api_key: str | None, api_base: str | None, data: str) -> Target:
    """Return what options and environment name, or else the server running on the data folder.

    The folder's own test key is only ever sent to the folder's own server.

    Raises:
        CommandError: There is no server or no key to use.
    """
    facts = read_server(Path(data))
    local = str(facts["url"]).rstrip("/") if facts else None
    url = _checked_url(api_base) if api_base else local
    if url is None:
        raise UnreachableError(
            f"No server is running on the data folder {data}. Start one with `meterbell serve`, or "
            "name one with --api-base or METERBELL_API_BASE."
        )
    key = api_key
    if key is None and url == local:
        key = (facts or {}).get("test_key") or read_test_key(Path(data))
    if not key:
        raise CommandError(
            f"No API key for {url}. Give one with --api-key or METERBELL_API_KEY; `meterbell keys "
            "create` makes one."
        )
    if mode_of(key) is None:
        raise CommandError(
            "The API key is not one: it begins with sk_test_, sk_live_, rk_test_ or rk_live_.",
            status=EXIT_USAGE,
        )
    return Target(url, key)


def _checked_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        parts.port  # noqa: B018 - raises for a bad port
    except ValueError:
        is_address = False
    if not is_address:
        raise CommandError(
            f"--api-base is no address: {text}. It looks like http://127.0.0.1:4242.",
            status=EXIT_USAGE,
        )
    return text.rstrip("/")


class Api:
    """Requests to one server through the official SDK."""

    def __init__(self, target: Target) -> None:
        import stripe  # noqa: PLC0415 - takes a second

        self.target = target
        bases = dict.fromkeys(("api", "connect", "files", "meter_events"), target.url)
        self._client = stripe.StripeClient(
            target.key,
            base_addresses=bases,  # type: ignore[arg-type]
            max_network_retries=_RETRIES_MAX,
        )

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Reply:
        """Retrieve or list."""
        return self._request("get", path, params)

    def post(self, path: str, params: Mapping[str, Any] | None = None) -> Reply:
        """Create or change."""
        return self._request("post", path, params)

    def delete(self, path: str) -> Reply:
        """Delete."""
        return self._request("delete", path, None)

    def _request(self, method: str, path: str, params: Mapping[str, Any] | None) -> Reply:
        import stripe  # noqa: PLC0415 - takes a second

        given = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            answer = self._client.raw_request(method, path, **given)
        except stripe.APIConnectionError as error:
            raise unreachable(self.target.url, _reason(error)) from error
        except stripe.StripeError as error:
            raise refused(
                error.http_status, error.json_body, request_id=error.request_id
            ) from error
        return Reply(dict(answer.data), answer.body)


def unreachable(url: str, reason: str) -> UnreachableError:
    """Return the error for a server that can't be reached."""
    return UnreachableError(
        f"Can't reach the server at {url}: {reason}. Is it running? `meterbell serve` starts one; "
        "--api-base names another."
    )


def _reason(error: "stripe.APIConnectionError") -> str:
    text = str(error).lower()
    for sign, reason in (
        ("refused", "connection refused"),
        ("timed out", "no answer in time"),
        ("name or service", "unknown host"),
        ("resolve", "unknown host"),
    ):
        if sign in text:
            return reason
    return "connection failed"


def refused(status: int | None, body: object, *, request_id: str | None = None) -> RefusedError:
    """Return the error for an API answer that is one; the log names unexpected ones by request."""
    suffix = f" (request {request_id})" if request_id else ""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        message = f"The server answered {status} with no reason.{suffix}"
        return RefusedError(message, code=None, param=None)
    message, code, param = str(error.get("message", "")), error.get("code"), error.get("param")
    # "No such …" names the id; which parameter it stood in helps only inside a body.
    is_plain = code == "resource_missing" and "[" not in str(param)
    if param and not is_plain and str(param) not in message:
        message = f"{message} (param {param})"
    return RefusedError(f"{message}{suffix}", code=code, param=param)


@contextmanager
def connected(*, api_key: str | None, api_base: str | None, data: str) -> Iterator[Api]:
    """Give a client command its API; what goes wrong inside ends the command in one line."""
    with reported():
        yield Api(find_target(api_key=api_key, api_base=api_base, data=data))
