"""Pages of the dashboard: how long the server takes, and what a browser loads."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection

import numpy as np
from msgspec import Struct

from bench.api import Api
from bench.context import Context
from bench.fill import Filled, Filling, fill
from bench.outcome import Chart, Outcome, Series, Table
from bench.services import free_port
from meterbell.dashboard.routes import PAGES
from meterbell.dashboard.visit import Page
from tests.support.dashboard import DOOR, LISTS, address, examples
from tests.support.server import ServerProcess
from tests.support.waiting import wait_for

_ASKS = 50
_BASELINE = "/healthz"
_QUERIES = {
    "/alerts/preview": "meter={meters}&gte=1000",
    "/alerts/{id}": "customer={customers}",
    "/customers": "q=cus_0001",
    "/customers/options": "customer=cus_0001",
    "/events": "customer=cus_none",
    "/meters/{id}": "range=30d&step=hour",
    "/meters/{id}/by-key": "key=region",
    "/search": "q=nothing",
}
"""What is asked for, where a page shows little without."""
_ASSET = re.compile(r'(?:href|src)="(/dashboard/static/[^"]+)"')
_OK = 200
_START_SECONDS = 300


class _Page(Struct, kw_only=True):
    """What asking for one page over and over gave, in milliseconds and bytes."""

    path: str
    is_part: bool
    first: float
    p50: float
    p95: float
    worst: float
    html: int
    weight: int


class _Browser:
    """One connection that is signed in, and takes compressed answers."""

    def __init__(self, port: int, session: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {
            "Accept-Encoding": "gzip",
            "Cookie": f"meterbell_session={session}",
            "Accept": "text/html",
        }
        self._assets: dict[str, int] = {}

    def ask(self, path: str) -> tuple[float, bytes]:
        """Return how many milliseconds an answer takes, and its body as it was sent.

        Raises:
            RuntimeError: It is no page.
        """
        begun = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        taken = 1000 * (time.perf_counter() - begun)
        if answer.status != _OK:
            raise RuntimeError(f"{path} answers {answer.status}: {body[:300]!r}")
        return taken, body

    def weight_of_assets(self, path: str) -> int:
        """Return the compressed bytes of scripts and styles that a page loads."""
        self._connection.request("GET", path, headers={**self._headers, "Accept-Encoding": ""})
        html = self._connection.getresponse().read().decode()
        found = set(_ASSET.findall(html))
        for place in found - self._assets.keys():
            self._assets[place] = len(self.ask(place)[1])
        return sum(self._assets[place] for place in found)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def pages(context: Context) -> Outcome:
    """Ask for every page of the dashboard over a month of usage, each many times."""
    options = context.options
    filling = Filling(customers=options.pages_customers, events=options.pages_events)
    data = context.folder / "pages"
    filled = fill(data, filling)
    server = ServerProcess(data, arguments=("--log-level", "warning"), seconds_max=_START_SECONDS)
    outcome = Outcome(name="pages", figures={}, tables=[])
    with server:
        world = _world(server, filled)
        browser = _Browser(server.port, filled.session)
        try:
            baseline = _measured(browser, _BASELINE, path=_BASELINE, is_part=False)
            found = [
                _measured(browser, _place(page, world), path=page.path, is_part=page.is_part)
                for page in PAGES
                if page.path not in DOOR
            ]
        finally:
            browser.close()
    _conclude(outcome, filling, baseline, found)
    return outcome


def _place(page: Page, world: Mapping[str, str]) -> str:
    """Return where a page is found, with an example of what it is asked for."""
    query = _QUERIES.get(page.path, "").format(**world)
    return f"{address(page, world)}?{query}" if query else address(page, world)


def _world(server: ServerProcess, filled: Filled) -> Mapping[str, str]:
    """Return examples: those with the most usage, and one of everything else."""
    api = Api(server.port, server.key)
    # An event that nobody takes is a delivery, too.
    away = f"127.0.0.1:{free_port()}/"
    api.post("/v1/webhook_endpoints", {"url": f"http://{away}", "enabled_events[0]": "*"})
    api.post("/v1/notification_channels", {"name": "On call", "url": f"json://{away}"})
    api.post("/v1/customers", {"id": "cus_last"})
    with suppress(RuntimeError):
        api.get("/v1/customers/cus_none", {})  # a request with an error stands in its log
    wait_for(lambda: api.get(LISTS["requests"], {"limit": 1})["data"], "request in the log")
    api.close()
    most = {
        "alerts": filled.alert,
        "customers": filled.customer,
        "meter-events": filled.meter_event,
        "meters": filled.meter,
    }
    return examples(server.client) | most


def _measured(browser: _Browser, place: str, *, path: str, is_part: bool) -> _Page:
    first, _ = browser.ask(place)
    answers = [browser.ask(place) for _ in range(_ASKS)]
    times = [taken for taken, _ in answers]
    html = max(len(body) for _, body in answers)
    return _Page(
        path=path,
        is_part=is_part,
        first=first,
        p50=float(np.quantile(times, 0.5)),
        p95=float(np.quantile(times, 0.95)),
        worst=max(times),
        html=html,
        weight=html + browser.weight_of_assets(place),
    )


def _conclude(outcome: Outcome, filling: Filling, baseline: _Page, found: list[_Page]) -> None:
    whole = [page for page in found if not page.is_part]
    parts = [page for page in found if page.is_part]
    outcome.figures = {
        "p95_ms": max(page.p95 for page in whole),
        "weight_kb": max(page.weight for page in whole) / 1000,
        "baseline_p95_ms": baseline.p95,
    }
    outcome.rounds.append({page.path: page for page in (baseline, *found)})
    headings = ["", "first ms", "p50 ms", "p95 ms", "worst ms", "page kB", "with assets kB"]
    of = (
        f"{filling.customers:,} customers, {filling.events:,} meter events, {_ASKS} requests each, "
        "compressed"
    )
    outcome.tables.append(
        Table(title=f"Pages, {of}", headings=headings, rows=_rows([baseline, *whole]))
    )
    outcome.tables.append(
        Table(
            title="Parts that a page asks for once it is shown",
            headings=headings,
            rows=_rows(parts),
        )
    )
    outcome.charts.append(
        Chart(
            kind="bars",
            title=f"p95 of pages, {filling.customers:,} customers, {filling.events:,} events",
            x_label="",
            y_label="milliseconds",
            series=[
                Series(
                    name="p95",
                    x=[page.path for page in (baseline, *whole)],
                    y=[page.p95 for page in (baseline, *whole)],
                )
            ],
        )
    )


def _rows(found: list[_Page]) -> list[list[str]]:
    return [
        [
            page.path,
            *(f"{value:,.1f}" for value in (page.first, page.p50, page.p95, page.worst)),
            *(f"{value / 1000:,.1f}" for value in (page.html, page.weight)),
        ]
        for page in found
    ]
