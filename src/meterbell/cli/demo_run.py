"""The frame of the demo: start, tell the story step by step, clean up, say how it went."""

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stripe
from rich.markup import escape

from meterbell.cli.demo_server import Receiver, demo_server
from meterbell.cli.demo_story import Story, UnexpectedError
from meterbell.cli.output import print_json, print_text
from meterbell.ids import RandomIds
from meterbell.keys import generate_key


@dataclass
class Protocol:
    """What was done and found, step by step; printed as it happens unless it ends as JSON."""

    as_json: bool
    steps: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[dict[str, str]]:
        """Run one step; what it puts into the yielded notes is shown below its title.

        Raises:
            UnexpectedError: Something was not as it should be; it is noted before.
        """
        notes: dict[str, str] = {}
        begun = time.perf_counter()
        record: dict[str, Any] = {"step": title, "ok": False, "notes": notes}
        self.steps.append(record)
        try:
            yield notes
            record["ok"] = True
        except UnexpectedError as error:
            record["unexpected"] = str(error)
            raise
        except stripe.StripeError as error:
            record["unexpected"] = f"the API refused: {error.user_message or error}"
            raise UnexpectedError(record["unexpected"]) from error
        finally:
            record["seconds"] = round(time.perf_counter() - begun, 3)
            if not self.as_json:
                _print_step(record)


def _print_step(record: dict[str, Any]) -> None:
    mark = "[bold green]✓[/]" if record["ok"] else "[bold red]✗[/]"
    print_text(f"{mark} {escape(record['step'])}  [dim]{record['seconds']:.2f} s[/]")
    for name, note in record["notes"].items():
        print_text(f"    [dim]{escape(name)}:[/] {escape(note)}")
    if "unexpected" in record:
        print_text(f"    [bold red]not as expected:[/] {escape(record['unexpected'])}")


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def run_demo(*, as_json: bool) -> bool:
    """Run everything; return whether all was as expected.

    Raises:
        CommandError: The server did not start.
    """
    # Ended from outside, it still ends its server and removes the folder.
    signal.signal(signal.SIGTERM, _interrupt)
    begun = time.perf_counter()
    protocol = Protocol(as_json)
    key = generate_key(RandomIds(), livemode=False, restricted=False)
    is_fine = True
    with tempfile.TemporaryDirectory(prefix="meterbell-demo-") as folder:
        if not as_json:
            print_text("[dim]Starting a server in a temporary folder …[/]")
        with demo_server(Path(folder), key=key) as url:
            client = stripe.StripeClient(
                key,
                base_addresses={"api": url, "connect": url, "files": url, "meter_events": url},
                max_network_retries=0,
            )
            receiver = Receiver(client)
            with receiver.running():
                try:
                    Story(client, receiver, url=url, key=key, step=protocol.step).tell()
                except UnexpectedError:
                    is_fine = False
    seconds = time.perf_counter() - begun
    if as_json:
        print_json({"ok": is_fine, "seconds": round(seconds, 3), "steps": protocol.steps})
    elif is_fine:
        print_text(f"[bold green]All as expected[/], in {seconds:.1f} s. Nothing is left behind.")
    else:
        print_text("[bold red]Not as expected.[/] Nothing is left behind.")
    return is_fine
