"""`python -m bench`: durable v1 events/s against an empty handler, and trigger latency.

Everything runs on this machine: server, generator in a process of its own, webhook receiver. Ratios
carry over to other machines, figures do not. After the load a verify phase recounts.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import stripe
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.load import Measured, Orders, percentile
from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess
from tests.support.waiting import wait_for

CUSTOMERS = 200
ARGUMENTS = ("--log-level", "warning", "--customers-auto-create")
console = Console()


@contextmanager
def empty_server(folder: Path) -> Iterator[int]:
    """Run the baseline; yield its port."""
    facts = folder / "empty.json"
    process = subprocess.Popen([sys.executable, "-m", "bench.empty", str(facts)])
    try:
        text = wait_for(lambda: facts.exists() and facts.read_text(), "empty server")
        yield int(json.loads(str(text))["port"])
    finally:
        process.terminate()
        process.wait()


def load(port: int, key: str, *, connections: int, seconds: float, name: str) -> Measured:
    """Let the generator run against a port."""
    orders = Orders(
        host="127.0.0.1",
        port=port,
        key=key,
        path="/v1/billing/meter_events",
        connections=connections,
        seconds=seconds,
        customers=CUSTOMERS,
        identifiers=name,
    )
    finished = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(orders)),
        capture_output=True,
        text=True,
        check=True,
    )
    return Measured(**json.loads(finished.stdout))


def prepare(client: stripe.StripeClient) -> str:
    """Create a meter and alerts; usage creates the customers. Return the meter's id."""
    meter = client.v1.billing.meters.create(
        {
            "display_name": "Requests",
            "event_name": "requests",
            "default_aggregation": {"formula": "sum"},
        }
    )
    for number in range(25):
        create_alert(client, meter.id, 10**9 + number)
    return meter.id


def create_alert(client: stripe.StripeClient, meter: str, gte: int) -> None:
    """Create an alert for any customer."""
    client.v1.billing.alerts.create(
        {
            "alert_type": "usage_threshold",
            "title": f"At {gte}",
            "usage_threshold": {"meter": meter, "gte": gte, "recurrence": "one_time"},
        }
    )


def counted(client: stripe.StripeClient, meter: str) -> float:
    """Return the usage of all customers."""
    total = 0.0
    for number in track(range(CUSTOMERS), "verify", console=console, transient=True):
        summaries = client.v1.billing.meters.event_summaries.list(
            meter, {"customer": f"cus_{number}", "start_time": 0, "end_time": 4_070_908_800}
        )
        total += summaries.data[0].aggregated_value
    return total


def trigger_latencies(client: stripe.StripeClient, triggers: int) -> list[float]:
    """Return seconds from the send of a crossing event to its webhook's arrival."""
    meter = client.v1.billing.meters.create(
        {
            "display_name": "Triggers",
            "event_name": "triggers",
            "default_aggregation": {"formula": "sum"},
        }
    ).id
    create_alert(client, meter, 1)
    latencies = []
    with WebhookReceiver() as receiver:
        client.v1.webhook_endpoints.create(
            {"url": receiver.url, "enabled_events": ["billing.alert.triggered"]}
        )
        for number in track(range(triggers), "triggers", console=console, transient=True):
            customer = f"cus_trigger_{number}"
            sent = time.time()  # noqa: TID251 - the receiver's clock
            client.v1.billing.meter_events.create(
                {
                    "event_name": "triggers",
                    "payload": {"stripe_customer_id": customer, "value": "1"},
                }
            )
            received = wait_for(lambda n=number: receiver.received[n:], "webhook")  # type: ignore[misc]
            latencies.append(received[0].received_at - sent)
    return sorted(latencies)


def fsync_ms(folder: Path) -> float:
    """Return the median time of a small synced write, in milliseconds."""
    times = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run everything once."""
    rounds: list[dict[str, Any]] = []
    with (
        ServerProcess(folder / "data", arguments=ARGUMENTS) as server,
        empty_server(folder) as empty_port,
    ):
        meter = prepare(server.client)
        acknowledged = 0
        for number in range(options.rounds):
            common = {"connections": options.connections, "seconds": options.seconds}
            empty = load(empty_port, server.key, name=f"e{number}", **common)
            durable = load(server.port, server.key, name=f"d{number}", **common)
            assert durable.failed == 0, f"{durable.failed} requests failed"
            acknowledged += durable.requests
            rounds.append({"empty": asdict(empty), "durable": asdict(durable)})
        total = counted(server.client, meter)
        assert total == acknowledged, f"acknowledged {acknowledged}, counted {total}"
        latencies = trigger_latencies(server.client, options.triggers)
    return {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "fsync_ms": fsync_ms(folder),
        "connections": options.connections,
        "rounds": rounds,
        "verified_events": acknowledged,
        "triggers": len(latencies),
        "trigger_p50_ms": percentile(latencies, 0.5),
        "trigger_p99_ms": percentile(latencies, 0.99),
    }


def rate(measured: dict[str, Any]) -> float:
    """Return requests per second."""
    return float(measured["requests"]) / float(measured["seconds"])


def show(result: dict[str, Any]) -> None:
    """Print the medians of all rounds as a table."""

    def median(kind: str, field: str | None = None) -> float:
        values = [rate(r[kind]) if field is None else r[kind][field] for r in result["rounds"]]
        return statistics.median(values)

    ratio = statistics.median(rate(r["durable"]) / rate(r["empty"]) for r in result["rounds"])
    table = Table(
        title=f"v1 single events, {result['connections']} connections, "
        f"median of {len(result['rounds'])}"
    )
    for heading in ("", "events/s", "ack p50 ms", "ack p99 ms", "ack p99.9 ms"):
        table.add_column(heading, justify="left" if not heading else "right")
    for kind, name in (("empty", "empty handler"), ("durable", "durable, counted, evaluated")):
        figures = [median(kind, field) for field in ("p50", "p99", "p999")]
        table.add_row(name, f"{median(kind):,.0f}", *(f"{figure:.1f}" for figure in figures))
    console.print(table)
    console.print(f"ratio to the empty handler: [bold]{ratio:.2f}[/]")
    console.print(
        f"trigger latency over {result['triggers']} triggers: "
        f"p50 [bold]{result['trigger_p50_ms']:.1f} ms[/], "
        f"p99 [bold]{result['trigger_p99_ms']:.1f} ms[/] (sent → webhook received)"
    )
    console.print(
        f"verified: {result['verified_events']:,} acknowledged events, each counted once. "
        f"fsync here takes {result['fsync_ms']:.2f} ms. {result['machine']}."
    )


def main() -> None:
    """Parse the options, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--triggers", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="meterbell-bench-") as folder:
        result = measure(options, Path(folder))
    show(result)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
