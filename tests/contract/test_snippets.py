"""The dashboard's snippets work as they are pasted, once an id of theirs is put in."""

import hashlib
import hmac
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from meterbell.clock import SystemClock
from meterbell.dashboard.snippets import snippets
from meterbell.settings import Settings
from tests.contract.test_node import FOLDER
from tests.support.server import ServerProcess

SECRET = "whsec_…"
BODY = json.dumps(
    {
        "object": "event",
        "type": "billing.alert.triggered",
        "data": {"object": {"customer": "cus_1", "value": 80000}},
    }
)
PROGRAMS = {
    "Shell": ("bash", "-euc"),
    "Python": (sys.executable, "-c"),
    "Node": ("node", "--input-type=module", "-e"),
}
GIVEN = {
    "Shell": "TIME={time}\nBODY='{body}'\n",
    "Python": "payload, signature = b'{body}', 't={time},v1={signed}'\n",
    "Node": "const payload = '{body}', signature = 't={time},v1={signed}';\n",
}


def run(language: str, text: str) -> str:
    """Run a snippet and return what it printed."""
    program, *options = PROGRAMS[language]
    found = shutil.which(program)
    assert found is not None, f"{program} is missing"
    finished = subprocess.run(
        [found, *options, text],
        cwd=FOLDER,  # where Node.js finds the SDK
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr + finished.stdout
    return finished.stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(Path(tmp_path_factory.mktemp("snippets")) / "data") as server:
        server.client.v1.customers.create({"id": "cus_1"})  # type: ignore[arg-type]
        yield server


@pytest.mark.parametrize("language", PROGRAMS)
def test_snippets_report_usage_make_an_alert_and_verify_a_webhook(
    server: ServerProcess, language: str
) -> None:
    meters = server.client.v1.billing.meters
    meter = meters.list({"status": "active"}).data or [
        meters.create(
            {
                "display_name": "Requests",
                "event_name": "requests",
                "default_aggregation": {"formula": "sum"},
            }
        )
    ]
    settings = Settings(port=urlsplit(server.url).port or 0)
    report, alert, verify = [
        dict(group.by_language)[language].replace("mtr_…", meter[0].id)
        for group in snippets(settings, server.key)
    ]
    alerts = server.client.v1.billing.alerts
    alerts_before = len(alerts.list().data)
    usage_before = used(server, meter[0].id)
    now = SystemClock().now_ms() // 1000
    signed = hmac.digest(SECRET.encode(), f"{now}.{BODY}".encode(), hashlib.sha256).hex()

    run(language, report)
    run(language, alert)
    given = GIVEN[language].format(time=now, body=BODY, signed=signed)
    told = run(language, given + verify)

    assert used(server, meter[0].id) == usage_before + 5
    assert len(alerts.list().data) == alerts_before + 1
    assert ("cus_1 80000" in told) or (signed in told)


def used(server: ServerProcess, meter: str) -> float:
    """Return the customer's usage."""
    found = server.client.v1.billing.meters.event_summaries.list(
        meter, {"customer": "cus_1", "start_time": 0, "end_time": 4_070_908_800}
    )
    return sum(summary.aggregated_value for summary in found.data)
