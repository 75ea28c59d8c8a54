"""One job in a process of its own: look at a URL, or send one notice through Apprise."""

import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import apprise
import requests
from apprise import plugins
from urllib3.exceptions import HTTPError

from meterbell.delivery.channels.hiding import secrets_of, without_secrets
from meterbell.delivery.channels.jobs import Done, Job
from meterbell.delivery.channels.schemes import (
    SHOWS_HOST,
    has_secure_sibling,
    refusal_of_options,
    refusal_of_scheme,
)
from meterbell.delivery.outcome import (
    KEPT_BYTES_MAX,
    NETWORK_ERRORS,
    READ_BYTES_MAX,
    text_of_status,
)

_LAST_SECONDS = 0.5
_PORT = 443
_PORT_MAX = 65_535
_ERROR, _REDIRECT = 400, 300
# Nothing longer is echoed: it may be a token that somebody took for a URL.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,15}")
_HTTP = re.compile(r"https?", re.IGNORECASE)
# It is not echoed either: it may be a password.
_NO_PORT = f"its port is none: ports are numbers from 1 to {_PORT_MAX}."
_MALFORMED = "something in it is missing or malformed for {}://."


@dataclass
class Heard:
    """What was heard from the other side, whatever Apprise makes of it.

    Attributes:
        secrets: What an answer may quote and nobody may see: parts of the URL.
    """

    secrets: tuple[str, ...] = ()
    status_code: int | None = None
    retry_after: str | None = None
    response: bytes = b""
    trouble: str | None = None

    def answer(self, status_code: int, retry_after: str | None, response: bytes) -> None:
        """Note an answer; the first that is no success stays."""
        if self.status_code is None or self.status_code < _REDIRECT:
            self.status_code, self.retry_after = status_code, retry_after
            self.response = without_secrets(response, self.secrets)[:KEPT_BYTES_MAX]

    def fail(self, error: BaseException) -> None:
        """Note that something went wrong below Apprise; the first that did stays."""
        if self.trouble is None:
            self.trouble = _name(error)


def look(job: Job, refusal_of_place: Callable[[str, int], str | None]) -> Done:
    """Return what a URL leads to, or why it can't be used.

    Args:
        job: Names the URL.
        refusal_of_place: Returns why a host and port may not be dialled, whatever the address is.
    """
    plugin, refusal = _load(job)
    if plugin is None:
        return Done(job.id, refusal=refusal)
    scheme = _read_url(job.url)["schema"]  # a service may change its own
    place = ""
    if "host" in plugin.template_tokens and plugin.host:
        if scheme in SHOWS_HOST:
            place = f"{plugin.host}:{plugin.port}/" if plugin.port else f"{plugin.host}/"
        host = str(getattr(plugin, "smtp_host", None) or plugin.host).strip("[]")
        port = plugin.port or _PORT
        denied = refusal_of_place(host, port)
        if denied is not None:
            return Done(job.id, refusal=denied)
        # Looking it up is enough: the sandbox denies a name that leads where it may not. One that
        # leads nowhere is no reason to refuse it: it may tomorrow.
        with suppress(socket.gaierror, UnicodeError):
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return Done(
        job.id,
        service=str(plugin.service_name),
        shown=f"{scheme}://{place}****",
    )


def send(job: Job) -> Done:
    """Send a notice and return what came of it."""
    plugin, _ = _load(job)
    if plugin is None:
        return Done(job.id, outcome="bad_url")
    heard = Heard(secrets_of(job.url))
    # What a service has no room for is left out, so that the rest arrives.
    plugin.overflow_mode = apprise.OverflowMode.TRUNCATE
    plugin.redirects, plugin.verify_certificate = False, True
    plugin.socket_connect_timeout = plugin.socket_read_timeout = job.seconds
    plugin.request_rate_per_sec = 0
    sender = apprise.Apprise(plugin)
    with _watched(heard, time.monotonic() + job.seconds - _LAST_SECONDS):
        is_sent = bool(
            sender.notify(
                body=job.body,
                title=job.title,
                notify_type=apprise.NotifyType.WARNING,
                body_format=apprise.NotifyFormat.TEXT,
            )
        )
    outcome = "succeeded" if is_sent else _outcome(heard)
    if not is_sent and (heard.status_code or 0) < _REDIRECT:
        # Whatever went well was on the way there: to sign in, perhaps, and the answer a token.
        heard.status_code, heard.response = None, b""
    return Done(
        job.id,
        outcome=outcome,
        status_code=heard.status_code,
        retry_after=heard.retry_after,
        response=heard.response,
    )


def _load(job: Job) -> tuple[Any, str]:
    """Return Apprise's service for a URL, or None and why there is none."""
    found = _read_url(job.url)
    if found is None:
        return None, _why_unknown(job.url)
    scheme = str(found["schema"])
    refusal = refusal_of_scheme(scheme) or refusal_of_options(list(found.get("qsd", ())))
    if refusal is not None:
        return None, refusal
    if not _is_port(found.get("port")):
        return None, _NO_PORT
    plugin: Any = apprise.Apprise.instantiate(found, asset=_asset())
    if plugin is None:
        return None, _MALFORMED.format(scheme)
    refusal = _why_plain(plugin, scheme) if job.livemode else None
    return (plugin, "") if refusal is None else (None, refusal)


def _is_port(port: int | str | None) -> bool:
    """Return whether a URL's port can be dialled, which Apprise does not ask; it may have none."""
    try:
        return port in (None, "") or 0 < int(port) <= _PORT_MAX
    except ValueError:
        return False


def _asset() -> apprise.AppriseAsset:
    return apprise.AppriseAsset(
        app_id="meterbell",
        app_desc="meterbell",
        async_mode=False,
        http_redirects=False,
        pgp_autogen=False,
        pem_autogen=False,
        storage_mode="memory",
        app_url="",
        image_url_mask="",
        image_url_logo="",
    )


def _why_unknown(url: str) -> str:
    """Return what is wrong with a URL that Apprise can't read."""
    scheme, is_url, _ = url.partition("://")
    if is_url and _SCHEME.fullmatch(scheme) and not _HTTP.fullmatch(scheme):
        return refusal_of_scheme(scheme.lower()) or _MALFORMED.format(scheme)
    hint = " For a webhook of your own use json:// or jsons://." if is_url else ""
    return f"it is no URL of a service that Apprise knows.{hint}"


def _why_plain(plugin: Any, scheme: str) -> str | None:  # noqa: ANN401
    """Return why a service would not encrypt what it sends, or None if it does."""
    if has_secure_sibling(scheme) and not plugin.secure:
        return f"a channel in live mode is encrypted: use {scheme}s://."
    if getattr(plugin, "secure_mode", None) == "insecure":
        return "a channel in live mode is encrypted: leave out mode=insecure."
    return None


def _read_url(url: str) -> Any:  # noqa: ANN401 - as Apprise gives it
    return plugins.url_to_dict(url, secure_logging=True)  # type: ignore[no-untyped-call]


def _outcome(heard: Heard) -> str:
    if heard.trouble is not None:
        return heard.trouble
    if heard.status_code is None or heard.status_code < _REDIRECT:
        return "not_accepted"
    return text_of_status(heard.status_code)


@contextmanager
def _watched(heard: Heard, deadline: float) -> Iterator[None]:
    """Listen to everything that services do on the network; this process has no other use.

    Answers are read as far as they are kept, and not unpacked.
    """
    adapter, reply, connect = (
        requests.adapters.HTTPAdapter.send,
        smtplib.SMTP.getreply,
        socket.socket.connect,
    )
    handshake, resolve = ssl.SSLSocket.do_handshake, socket.getaddrinfo

    def exchange(own: Any, request: Any, **more: Any) -> Any:  # noqa: ANN401
        request.headers["Accept-Encoding"] = "identity"
        try:
            answer = adapter(own, request, **{**more, "stream": True})
        except Exception as error:
            heard.fail(error)
            raise
        # The status decides, even if the body never ends.
        body = _read(answer.raw, deadline)
        heard.answer(answer.status_code, answer.headers.get("Retry-After"), body)
        answer._content, answer._content_consumed = body, True  # noqa: SLF001 - as if it had read it
        return answer

    def getreply(own: Any) -> tuple[int, bytes]:  # noqa: ANN401
        code, message = reply(own)
        if code >= _ERROR:
            heard.answer(code, None, message)
        return code, message

    replaced = (
        (requests.adapters.HTTPAdapter, "send", exchange),
        (smtplib.SMTP, "getreply", getreply),
        (socket.socket, "connect", _noted(heard, connect)),
        (ssl.SSLSocket, "do_handshake", _noted(heard, handshake)),
        (socket, "getaddrinfo", _noted(heard, resolve)),
    )
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    for owner, name, instead in replaced:
        setattr(owner, name, instead)
    try:
        yield
    finally:
        for owner, name, before in kept:
            setattr(owner, name, before)


def _noted(heard: Heard, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call that notes how it fails."""

    def noted(*args: Any, **more: Any) -> Any:  # noqa: ANN401
        try:
            return call(*args, **more)
        except OSError as error:
            heard.fail(error)
            raise

    return noted


def _read(raw: Any, deadline: float) -> bytes:  # noqa: ANN401
    """Return the beginning of an answer's body, as far as it comes in time."""
    body = bytearray()
    try:
        while len(body) < READ_BYTES_MAX and (left := deadline - time.monotonic()) > 0:
            if raw.connection is not None and raw.connection.sock is not None:
                raw.connection.sock.settimeout(left)
            chunk = raw.read1(READ_BYTES_MAX - len(body), decode_content=False)
            if not chunk:
                break
            body += chunk
    except (OSError, HTTPError):
        pass
    return bytes(body)


_NAMES: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "dns_error"),
    (UnicodeError, "dns_error"),
    (requests.exceptions.SSLError, "tls_error"),
    (requests.exceptions.Timeout, "timeout"),
    (requests.exceptions.ConnectionError, "connection_closed"),
    *NETWORK_ERRORS,
)


def _name(error: BaseException) -> str:
    """Return the outcome that an error stands for; the first line that fits."""
    return next((name for kind, name in _NAMES if isinstance(error, kind)), "bad_answer")


def load() -> None:
    """Load all services, so that forks find them."""
    _read_url("json://localhost")
