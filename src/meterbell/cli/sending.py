"""Many reports at once: concurrent requests, retries, and what became of each line."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp
import msgspec

from meterbell.cli.connection import RefusedError, Target, refused, unreachable
from meterbell.cli.output import CommandError
from meterbell.cli.usage_file import BadLine, Usage

_TRIES_MAX = 8
_PAUSE_SECONDS_MIN = 0.1
_PAUSE_SECONDS_MAX = 5.0
_REQUEST_SECONDS_MAX = 60.0
_RETRIED = frozenset({409, 429})
_FINAL = frozenset({401, 403})
_OK = 200
_SERVER_ERROR = 500
_FAILURES_KEPT_MAX = 1000


@dataclass(slots=True)
class Summary:
    """What became of the lines.

    Attributes:
        counted: Reported now.
        already_counted: Reported by an earlier run.
        failed: Refused or unfit.
        failures: The first of those, by line.
    """

    counted: int = 0
    already_counted: int = 0
    failed: int = 0
    failures: list[BadLine] = field(default_factory=list)

    def add_failure(self, failure: BadLine) -> None:
        """Count a line that failed."""
        self.failed += 1
        if len(self.failures) < _FAILURES_KEPT_MAX:
            self.failures.append(failure)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "counted": self.counted,
            "already_counted": self.already_counted,
            "failed": self.failed,
            "failures": [
                {"line": failure.line, "message": failure.reason}
                for failure in sorted(self.failures, key=lambda failure: failure.line)
            ],
        }


class _Answer(NamedTuple):
    status: int
    body: bytes
    retry_after: float | None


def is_duplicate(error: RefusedError) -> bool:
    """Return whether a report was refused because its identifier was counted before (C2)."""
    return error.param == "identifier" and "already exists with identifier" in str(error)


async def send_all(
    lines: Iterator[Usage | BadLine],
    target: Target,
    *,
    run_id: str,
    concurrency: int,
    summary: Summary,
    on_line: Callable[[BadLine | None], None],
) -> None:
    """Report every line, however others fare.

    Args:
        lines: What to report.
        target: Where to.
        run_id: Begins the Idempotency-Keys, so that a request that is sent again counts once.
        concurrency: Requests under way at most.
        summary: Filled as answers come.
        on_line: Called after each line, with why it failed if it did.

    Raises:
        CommandError: The server can't be reached, or refuses the key.
    """
    connector = aiohttp.TCPConnector(limit=concurrency)
    timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS_MAX)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        sender = _Sender(session, target, run_id)

        async def work() -> None:
            for line in lines:
                failure = line if isinstance(line, BadLine) else None
                if isinstance(line, Usage):
                    try:
                        await sender.send(line)
                        summary.counted += 1
                    except RefusedError as error:
                        if is_duplicate(error):
                            summary.already_counted += 1
                        else:
                            failure = BadLine(line.line, str(error))
                if failure is not None:
                    summary.add_failure(failure)
                on_line(failure)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(work())
        except* CommandError as errors:
            first = errors.exceptions[0]
            while isinstance(first, ExceptionGroup):
                first = first.exceptions[0]
            raise first from None


class _Sender:
    def __init__(self, session: aiohttp.ClientSession, target: Target, run_id: str) -> None:
        self._session = session
        self._target = target
        self._run_id = run_id

    async def send(self, usage: Usage) -> None:
        """Report one line; a server that is away or busy is asked again.

        Raises:
            RefusedError: The line is not accepted.
            CommandError: Nothing will be accepted.
        """
        pause = _PAUSE_SECONDS_MIN
        for attempt in range(_TRIES_MAX):
            is_last = attempt == _TRIES_MAX - 1
            try:
                answer = await self._post(usage)
            except (aiohttp.ClientError, TimeoutError) as error:
                if is_last:
                    raise unreachable(self._target.url, "connection failed") from error
                await asyncio.sleep(pause)
            else:
                if answer.status == _OK:
                    return
                if answer.status not in _RETRIED and answer.status < _SERVER_ERROR:
                    raise self._refusal(answer)
                if is_last:
                    raise CommandError(f"The server goes on answering {answer.status}; try later.")
                await asyncio.sleep(max(pause, answer.retry_after or 0))
            pause = min(2 * pause, _PAUSE_SECONDS_MAX)

    async def _post(self, usage: Usage) -> _Answer:
        async with self._session.post(
            f"{self._target.url}/v1/billing/meter_events",
            data=usage.form,
            headers={
                "Authorization": f"Bearer {self._target.key}",
                "Idempotency-Key": f"{self._run_id}-{usage.line}",
            },
            allow_redirects=False,
        ) as answer:
            after = answer.headers.get("Retry-After", "")
            seconds = min(float(after), _PAUSE_SECONDS_MAX) if after.isdecimal() else None
            return _Answer(answer.status, await answer.read(), seconds)

    def _refusal(self, answer: _Answer) -> CommandError:
        try:
            body = msgspec.json.decode(answer.body)
        except msgspec.DecodeError:
            body = None
        if not isinstance(body, dict):
            return CommandError(
                f"What answers at {self._target.url} is no meterbell server (status "
                f"{answer.status})."
            )
        error = refused(answer.status, body)
        return CommandError(str(error)) if answer.status in _FINAL else error
