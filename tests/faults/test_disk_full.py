"""A disk that takes no more: 503, no acknowledgement, a clear line, an end; nothing is lost."""

import resource
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.support.server import ServerProcess

USED = "full"


def usage(identifier: str, value: str = "1") -> Any:  # noqa: ANN401 - the SDK's typed dictionary
    return {
        "event_name": USED,
        "identifier": identifier,
        "payload": {"stripe_customer_id": "cus_a", "value": value, "note": "x" * 400},
    }


def test_c1_a_full_disk_ends_the_server_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", arguments=["--customers-auto-create"]) as server:
        client = server.client
        meter = client.v1.billing.meters.create(
            {
                "display_name": "Requests",
                "event_name": USED,
                "default_aggregation": {"formula": "sum"},
            }
        )
        create = client.v1.billing.meter_events.create
        for number in range(20):
            create(usage(f"before-{number}"))
        # No file of the server may grow from here on, as on a full disk.
        files = [path.stat().st_size for path in server.data.iterdir()]
        limit = max(files) + 20_000
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (limit, limit))
        acknowledged = 20
        with pytest.raises((stripe.APIError, stripe.APIConnectionError)) as refused:
            for number in range(2000):
                create(usage(f"during-{number}"))
                acknowledged += 1

        assert refused.value.http_status in (503, None)
        assert server.wait() == 1
        assert "store failed" in server.output
        server.start()
        summaries = server.client.v1.billing.meters.event_summaries.list(
            meter.id, {"customer": "cus_a", "start_time": 0, "end_time": 4_070_908_800}
        )
        # The last one may be on disk without an answer; sent again it would count once.
        assert summaries.data[0].aggregated_value in (acknowledged, acknowledged + 1)
