"""The server's side of the process that speaks to services, which is started when it is needed."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import msgspec
import structlog
from msgspec import Struct

from meterbell.delivery.channels.jobs import Done, Job, Policy
from meterbell.delivery.outcome import Outcome
from meterbell.errors import OverloadedError
from meterbell.settings import Settings

BY_HAND_MAX = 8
"""Channels that people make or test at a time."""

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


class _Helper:
    """One process, and what it was asked and has not answered."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.waiting: dict[int, asyncio.Future[Done]] = {}
        self.is_gone = False
        self._reading = asyncio.create_task(self._read())

    def tell(self, line: Struct) -> None:
        """Send a line; raises what a broken pipe raises."""
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(line) + b"\n")

    async def end(self) -> None:
        """End the process with all its forks; what it was asked is answered that it failed."""
        self._kill()
        await self._reading

    def _kill(self) -> None:
        # By its number: `Process.kill` may reap it, and then nobody learns how it ended.
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def _read(self) -> None:
        """Give out answers until the process ends, and take it for that if it makes no sense."""
        assert self.process.stdout is not None
        try:
            while line := await self.process.stdout.readline():
                done = msgspec.json.decode(line, type=Done)
                answer = self.waiting.get(done.id)
                if answer is not None and not answer.done():
                    answer.set_result(done)
        except (ValueError, OSError):
            logger.exception("the process for channels makes no sense")
        finally:
            self.is_gone = True
            for number, answer in self.waiting.items():
                if not answer.done():
                    answer.set_result(Done(number, outcome="internal_error"))
        self._kill()
        await self.process.wait()


class Notifier:
    """Sends notices through Apprise; raises nothing but what it says."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; nothing runs before the first notice.

        Args:
            settings: The egress policy, and the time for an attempt.
        """
        self._policy = Policy(settings.host, settings.egress_allow)
        self._seconds = float(settings.webhook_timeout_seconds)
        self._helper: _Helper | None = None
        self._starting = asyncio.Lock()
        self._jobs = 0
        self._by_hand = 0

    async def check(self, url: str, *, livemode: bool) -> Checked:
        """Return what a URL leads to.

        Raises:
            OverloadedError: Too many people ask at once.
        """
        with self._asked():
            done = await self._ask("check", _CHECK_SECONDS, url, livemode)
        refusal = done.refusal
        if refusal is None and not done.service:
            refusal = "it could not be looked at in time; try again."
        return Checked(refusal, done.service, done.shown)

    async def try_out(self, url: str, *, livemode: bool, title: str, body: str) -> Outcome:
        """Send a notice that somebody waits for, and return what came of it.

        Raises:
            OverloadedError: Too many people ask at once.
        """
        with self._asked():
            return await self.send(url, livemode=livemode, title=title, body=body)

    async def send(self, url: str, *, livemode: bool, title: str, body: str) -> Outcome:
        """Send a notice and return what came of it; raises nothing."""
        done = await self._ask("send", self._seconds, url, livemode, title=title, body=body)
        return Outcome(done.outcome, done.status_code, done.retry_after, done.response)

    async def close(self) -> None:
        """End the process, and whatever it does."""
        helper, self._helper = self._helper, None
        if helper is not None:
            await helper.end()

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Bound how many forks people ask for at a time; those of deliveries have their lanes."""
        if self._by_hand >= BY_HAND_MAX:
            raise OverloadedError(
                "Too many channels are being made or tested right now. Try again in a moment."
            )
        self._by_hand += 1
        try:
            yield
        finally:
            self._by_hand -= 1

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
        try:
            helper = await self._started()
        except (OSError, RuntimeError):  # as below
            logger.exception("the process for channels can't be started")
            return Done(job.id, outcome="internal_error")
        answer: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        helper.waiting[job.id] = answer
        try:
            helper.tell(job)
            async with asyncio.timeout(seconds + _GRACE_SECONDS):
                return await answer
        except TimeoutError:
            logger.error("the process for channels does not answer")  # noqa: TRY400 - no traceback
            await helper.end()
            return Done(job.id, outcome="timeout")
        except (OSError, RuntimeError):
            # It has ended just now, which uvloop tells by a RuntimeError.
            return Done(job.id, outcome="internal_error")
        finally:
            del helper.waiting[job.id]

    async def _started(self) -> _Helper:
        async with self._starting:
            helper = self._helper
            if helper is not None and not helper.is_gone:
                return helper
            if helper is not None:
                logger.error("the process for channels has ended and is started again")
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-m",
                "meterbell.delivery.channels.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=_environment(),
                # Ctrl-C on a terminal is for the server, which lets attempts end; and what the
                # process starts can be ended with it.
                start_new_session=True,
                limit=_LINE_BYTES_MAX,
            )
            self._helper = _Helper(process)
            self._helper.tell(self._policy)
            return self._helper


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED if name in os.environ}
    # Coverage measures processes that tests start.
    measured = [name for name in os.environ if name.startswith("COVERAGE_")]
    kept |= {name: os.environ[name] for name in measured}
    return {**kept, "HOME": "/nonexistent"}
