"""The process that speaks to services, and its forks: killed, stopped, asked too much."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest

from meterbell.delivery.channels.jobs import Job, Policy
from meterbell.delivery.channels.notifier import BY_HAND_MAX, Notifier
from meterbell.errors import OverloadedError
from tests.delivery.test_channel_attempts import notifying, send
from tests.support.receiver import WebhookReceiver

BOUND_SECONDS = 20.0


class Hanging:
    """A server that takes everything and says nothing.

    Attributes:
        url: Where it is.
        came: How many connections came.
        left: How many of those were closed by the other side.
    """

    def __init__(self) -> None:
        self.url = ""
        self.came = self.left = 0
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count a connection in and out."""
        self._writers.add(writer)
        self.came += 1
        self._changed.set()
        with suppress(OSError):
            while await reader.read(1 << 16):
                pass
        writer.close()
        self._writers.discard(writer)
        self.left += 1
        self._changed.set()

    async def close(self) -> None:
        """Close what is left."""
        for writer in tuple(self._writers):
            writer.close()
        await self.until(left=self.came)

    async def until(self, *, came: int = 0, left: int = 0) -> None:
        """Wait until so many connections came and left."""
        async with asyncio.timeout(BOUND_SECONDS):
            while self.came < came or self.left < left:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def hanging() -> AsyncIterator[Hanging]:
    server = Hanging()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"json://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    try:
        yield server
    finally:
        listening.close()
        await server.close()


def process_of(notifier: Notifier) -> asyncio.subprocess.Process:
    """Return the process that a notifier has started."""
    helper = notifier._helper  # noqa: SLF001 - nobody else need know of it
    assert helper is not None
    return helper.process


async def test_a_process_that_is_killed_fails_its_attempts_and_is_started_again() -> None:
    """What it was doing ends by itself at its deadline, too."""
    async with hanging() as server, notifying(webhook_timeout_seconds=2) as notifier:
        attempt = asyncio.create_task(send(notifier, server.url))
        await server.until(came=1)
        process_of(notifier).kill()
        outcome = await attempt
        again = await notifier.check(server.url, livemode=False)
        await server.until(left=1)

    assert (outcome.text, outcome.is_final) == ("internal_error", False)
    assert again.refusal is None


async def test_a_process_that_was_killed_between_attempts_is_not_noticed() -> None:
    with WebhookReceiver() as receiver:
        url = f"json://{receiver.url.split('/')[2]}/"
        async with notifying() as notifier:
            for _ in range(2):
                assert (await send(notifier, url)).text == "succeeded"
                process_of(notifier).kill()
                await process_of(notifier).wait()
                async with asyncio.timeout(BOUND_SECONDS):
                    while not notifier._helper.is_gone:  # type: ignore[union-attr]  # noqa: ASYNC110, SLF001
                        await asyncio.sleep(0)


async def test_closing_ends_attempts_at_once_with_everything_that_makes_them() -> None:
    async with hanging() as server:
        async with notifying(webhook_timeout_seconds=60) as notifier:
            attempts = [asyncio.create_task(send(notifier, server.url)) for _ in range(3)]
            await server.until(came=3)
        await server.until(left=3)
        outcomes = [(await attempt).text for attempt in attempts]

    assert outcomes == ["internal_error"] * 3


async def test_a_process_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async with notifying(webhook_timeout_seconds=1) as notifier:
        await notifier.check("json://127.0.0.1:9999", livemode=False)
        stopped = process_of(notifier)
        stopped.send_signal(signal.SIGSTOP)
        with monkeypatch.context() as patched:
            patched.setattr("meterbell.delivery.channels.notifier._GRACE_SECONDS", 0.1)
            outcome = await send(notifier, "json://127.0.0.1:9999/")
        checked = await notifier.check("json://127.0.0.1:9999", livemode=False)

    assert outcome.text == "timeout"
    assert stopped.returncode == -signal.SIGKILL
    assert checked.refusal is None


async def test_forks_end_with_the_server_however_that_ends() -> None:
    """A killed server closes the pipe and says nothing."""
    job = Job(1, "send", 60.0, "", livemode=False, title="t", body="b")
    async with hanging() as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-m", "meterbell.delivery.channels.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"HOME": "/nonexistent"},
        )
        assert process.stdin is not None
        for line in (Policy("127.0.0.1", None), msgspec.structs.replace(job, url=server.url)):
            process.stdin.write(msgspec.json.encode(line) + b"\n")
        await server.until(came=1)
        process.stdin.close()
        await server.until(left=1)

        assert await asyncio.wait_for(process.wait(), BOUND_SECONDS) == 0


async def test_more_attempts_at_once_than_a_fork_may_have_files_open() -> None:
    async with hanging() as server, notifying(webhook_timeout_seconds=30) as notifier:
        many = [asyncio.create_task(send(notifier, server.url)) for _ in range(70)]
        await server.until(came=70)
        with WebhookReceiver() as receiver:
            outcome = await send(notifier, f"json://{receiver.url.split('/')[2]}/")
        await notifier.close()
        await asyncio.gather(*many)

    assert outcome.text == "succeeded"


async def test_only_so_many_people_ask_at_a_time() -> None:
    facts: dict[str, Any] = {"livemode": False, "title": "t", "body": "b"}
    async with hanging() as server, notifying(webhook_timeout_seconds=30) as notifier:
        tests = [
            asyncio.create_task(notifier.try_out(server.url, **facts)) for _ in range(BY_HAND_MAX)
        ]
        await server.until(came=BY_HAND_MAX)
        with pytest.raises(OverloadedError, match="Try again"):
            await notifier.check(server.url, livemode=False)
        delivery = asyncio.create_task(send(notifier, server.url))
        await server.until(came=BY_HAND_MAX + 1)
        await notifier.close()
        await asyncio.gather(*tests, delivery)
        assert (await notifier.check(server.url, livemode=False)).refusal is None


# In one process, as a fork for each takes a minute.
EVERY_URL = """
import json
from meterbell.delivery.channels import attempt, worker
from meterbell.delivery.channels.jobs import Job
from meterbell.delivery.channels.sandbox import Sandbox
from meterbell.delivery.channels.schemes import ALLOWED, DENIED

attempt.load()
sandbox = Sandbox(lambda host, address, port: "it is denied")
sandbox.enter(seconds=60)
for scheme in sorted(ALLOWED | set(DENIED)):
    for rest in %r:
        url = scheme + "://" + rest
        done = worker._done(Job(1, "check", 5.0, url, False), sandbox, sandbox.refusal)
        print(json.dumps([url, done.refusal, done.service, done.shown]))
"""
RESTS = (
    *("", "/", "x", "%00", "[", "@@@", "é/%e9", " ", "x" * 4000, "x?format=no&overflow=no"),
    *("a:PlantedOne@c:99999999/PlantedTwo?e=%ff", "a:PlantedOne@h.invalid/PlantedTwo/b/c/d/e"),
)


def test_every_service_says_what_is_wrong_with_a_bad_url_and_quotes_no_secret() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EVERY_URL % (RESTS,)],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    told = [json.loads(line) for line in done.stdout.splitlines()]

    assert len(told) > len(RESTS) * 200
    assert [one for one in told if not one[1] and not (one[2] and one[3])] == []
    assert [one for one in told if "Planted" in f"{one[1]}{one[3]}" or "xxxxx" in f"{one[1]}"] == []
