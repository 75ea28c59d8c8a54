"""A folder that is filled holds what it says, as a server would have left it."""

from pathlib import Path

from bench.fill import Filling, fill
from tests.support.server import ServerProcess


def test_a_filled_folder_is_one_that_a_server_goes_on_with(tmp_path: Path) -> None:
    filling = Filling(customers=200, meters=2, events=9_000, days=3)

    filled = fill(tmp_path / "data", filling)

    with ServerProcess(tmp_path / "data") as server:
        assert len(server.client.v1.billing.meters.list().data) == 2
        alerts = server.client.v1.billing.alerts.list({"limit": 100}).data
        assert filled.alert in [alert.id for alert in alerts]
        triggered = server.client.v1.events.list({"type": "billing.alert.triggered"}).data
        assert filled.customer in [event.data.object["customer"] for event in triggered]
        assert filled.session
