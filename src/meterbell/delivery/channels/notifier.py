"""The server's side of the process that speaks to services, which is started when it is needed."""

import asyncio
import os
import sys
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import structlog

from meterbell.delivery.channels.jobs import Done, Job, Policy
from meterbell.delivery.outcome import Outcome
from meterbell.settings import Settings

_LINE_BYTES_MAX = 1 << 20
_CHECK_SECONDS = 5.0
# The process itself ends what is late; this is for a process that does not.
_GRACE_SECONDS = 10.0
# What Python, TLS and time zones need; no proxies, no keys, no settings of ours.
_PASSED = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")

logger = structlog.get_logger(__name__)


class Checked(NamedTuple):
    """What a URL leads to.

    Attributes:
        refusal: Why it can't be used; None if it can.
        service: Such as "Slack".
        shown: The URL without its secrets.
    """

    refusal: str | None
    service: str
    shown: str


class Notifier:
    """Sends notices through Apprise; raises nothing."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; nothing runs before the first notice.

        Args:
            settings: The egress policy, and the time for an attempt.
        """
        self._policy = Policy(settings.host, settings.egress_allow)
        self._seconds = float(settings.webhook_timeout_seconds)
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[Done]] = {}
        self._jobs = 0

    async def check(self, url: str, *, livemode: bool) -> Checked:
        """Return what a URL leads to."""
        done = await self._ask("check", _CHECK_SECONDS, url, livemode)
        refusal = done.refusal
        if refusal is None and not done.service:
            refusal = "it could not be looked at in time; try again."
        return Checked(refusal, done.service, done.shown)

    async def send(self, url: str, *, livemode: bool, title: str, body: str) -> Outcome:
        """Send a notice and return what came of it."""
        done = await self._ask("send", self._seconds, url, livemode, title=title, body=body)
        return Outcome(done.outcome, done.status_code, done.retry_after, done.response)

    async def close(self) -> None:
        """End the process, and whatever it does."""
        if self._process is None:
            return
        process, self._process = self._process, None
        with suppress(ProcessLookupError):
            process.kill()
        assert self._reading is not None
        await self._reading
        await process.wait()

    async def _ask(
        self,
        kind: Any,  # noqa: ANN401
        seconds: float,
        url: str,
        livemode: bool,  # noqa: FBT001
        **texts: str,
    ) -> Done:
        self._jobs += 1
        job = Job(self._jobs, kind, seconds, url, livemode, **texts)
        answer: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._waiting[job.id] = answer
        try:
            process = await self._started()
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            async with asyncio.timeout(seconds + _GRACE_SECONDS):
                return await answer
        except TimeoutError:
            logger.exception("the process for channels does not answer")
            await self.close()
            return Done(job.id, outcome="timeout")
        except OSError:
            logger.exception("the process for channels can't be used")
            return Done(job.id, outcome="internal_error")
        finally:
            del self._waiting[job.id]

    async def _started(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-I",
                    "-m",
                    "meterbell.delivery.channels.worker",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    env=_environment(),
                    # Ctrl-C on a terminal is for the server, which lets attempts end.
                    start_new_session=True,
                    limit=_LINE_BYTES_MAX,
                )
                assert self._process.stdin is not None
                self._process.stdin.write(msgspec.json.encode(self._policy) + b"\n")
                self._reading = asyncio.create_task(self._read(self._process))
            return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Give out answers until the process ends."""
        assert process.stdout is not None
        while line := await process.stdout.readline():
            done = msgspec.json.decode(line, type=Done)
            answer = self._waiting.get(done.id)
            if answer is not None and not answer.done():
                answer.set_result(done)
        if self._process is process:
            self._process = None
            logger.error("the process for channels has ended", status=await process.wait())
        for number, answer in self._waiting.items():
            if not answer.done():
                answer.set_result(Done(number, outcome="internal_error"))


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED if name in os.environ}
    # Coverage measures processes that tests start.
    measured = [name for name in os.environ if name.startswith("COVERAGE_")]
    kept |= {name: os.environ[name] for name in measured}
    return {**kept, "HOME": "/nonexistent"}
