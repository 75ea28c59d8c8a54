"""What an operator watches, as numbers: served at `/metrics` in the text format of Prometheus.

They hold no ids and no names. What happens often is counted once a group or once an attempt; what
can be read off the running parts is read when somebody asks.
"""

from collections import Counter as Counts
from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from meterbell.engine.model import EventRun
from meterbell.errors import DuplicateIdentifierError, UsageRefusedError
from meterbell.ledger.committer import Committed

_NS = 1_000_000_000
_GROUP_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000)
_SECONDS_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_DELIVERY_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 600, 3600)

# When each counter was made is told by `process_start_time_seconds`, once.
disable_created_metrics()  # type: ignore[no-untyped-call]

Readings = Callable[[], dict[str, float]]
"""Returns what can be read off the running parts, by the names in `READ`."""

READ: dict[str, tuple[str, str]] = {
    "meterbell_log_sequence": ("gauge", "Place in commit order of the latest log entry."),
    "meterbell_queue_depth": ("gauge", "Meter events and changes that wait for their commit."),
    "meterbell_queue_refused": ("counter", "Requests refused with 429 because the queue was full."),
    "meterbell_requests_left_out": (
        "counter",
        "Requests left out of the request log because too many failed at once, or waited.",
    ),
    "meterbell_counters": ("gauge", "Counters in memory, one for each meter and customer."),
    "meterbell_keys_in_memory": ("gauge", "Identifiers and request keys in memory."),
    "meterbell_keys_in_segments": ("gauge", "Identifiers and request keys in mapped files."),
    "meterbell_store_bytes": ("gauge", "Bytes of the database file that are in use."),
    "meterbell_log_events": ("gauge", "Meter events that the log holds."),
    "meterbell_deliveries_pending": ("gauge", "Deliveries to be attempted; counted to 10,000."),
    "meterbell_circuits_open": ("gauge", "Endpoints that are only probed."),
    "meterbell_endpoints_disabled": ("gauge", "Endpoints that are disabled."),
    "meterbell_ready": ("gauge", "1 while the server takes requests, 0 once its store failed."),
}
"""Metrics that are read when somebody asks: kind and meaning."""


class Metrics:
    """Counts what happens on one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._events = Counter(
            "meterbell_meter_events",
            "Meter events by outcome: accepted, duplicate, refused.",
            ["outcome"],
            registry=self.registry,
        )
        self._refused = Counter(
            "meterbell_meter_events_refused",
            "Meter events that can't be counted, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self._triggers = Counter("meterbell_triggers", "Alerts that fired.", registry=self.registry)
        self._group = Histogram(
            "meterbell_commit_events",
            "Meter events in a commit.",
            buckets=_GROUP_BUCKETS,
            registry=self.registry,
        )
        self._commit = Histogram(
            "meterbell_commit_seconds",
            "Time for a commit, by phase: decide, store.",
            ["phase"],
            buckets=_SECONDS_BUCKETS,
            registry=self.registry,
        )
        self._attempts = Counter(
            "meterbell_delivery_attempts",
            "Attempts to deliver an event, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self._delivery = Histogram(
            "meterbell_delivery_seconds",
            "From an event's commit to the end of the first attempt to deliver it.",
            buckets=_DELIVERY_BUCKETS,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)

    def read_from(self, readings: Readings) -> None:
        """Say where the metrics in `READ` are read."""
        self.registry.register(_Reader(readings))

    def group_committed(self, committed: Committed) -> None:
        """Count a committed group."""
        group = committed.group
        accepted = sum(len(entry) for entry in group.entries if isinstance(entry, EventRun))
        if accepted:
            self._events.labels("accepted").inc(accepted)
            self._group.observe(accepted)
        if group.triggers:
            self._triggers.inc(len(group.triggers))
        # There may be thousands, of few reasons.
        refused = Counts[str](refusal.reason for refusal in group.refusals)
        for outcome in committed.outcomes:
            if isinstance(outcome, UsageRefusedError):
                refused[outcome.reason] += 1
            elif isinstance(outcome, DuplicateIdentifierError):
                refused["duplicate_meter_event"] += 1
        for reason, count in refused.items():
            self._refuse(reason, count)
        self._commit.labels("decide").observe(committed.decide_ns / _NS)
        self._commit.labels("store").observe(committed.store_ns / _NS)

    def attempt_ended(self, outcome: str, attempt: int, milliseconds: int) -> None:
        """Count an attempt to deliver an event, with the time since the event's commit."""
        self._attempts.labels(outcome).inc()
        if attempt == 1:
            self._delivery.observe(milliseconds / 1000)

    def render(self) -> bytes:
        """Return all metrics as text."""
        return generate_latest(self.registry)

    def _refuse(self, reason: str, count: int) -> None:
        if reason == "duplicate_meter_event":
            self._events.labels("duplicate").inc(count)
        else:
            self._events.labels("refused").inc(count)
            self._refused.labels(reason).inc(count)


class _Reader(Collector):
    """Reads metrics off the running parts."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def describe(self) -> Iterator[Metric]:
        """Name nothing beforehand: nothing is read before somebody asks."""
        yield from ()

    @override
    def collect(self) -> Iterator[Metric]:
        for name, value in self._readings().items():
            kind, meaning = READ[name]
            family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            yield family(name, meaning, value=value)
