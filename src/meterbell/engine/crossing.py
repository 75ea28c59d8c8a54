"""Which alerts a counter's usage fires, and the bookkeeping that keeps this cheap. Rules A1 to A8.

An alert fires at the first meter event after which the usage that counts for it is at or above its
threshold, while it is active, once per customer. Two ways lead there:

- Alerts without a baseline in the counter are found in the scope's shared, sorted thresholds: those
  above the highest total so far and at or below the new one.
- All others (made after the counter, or reactivated below its highest total) stand in the counter's
  `watch` and are evaluated one by one.

`next_fire` is the lowest total at which either may happen, so most events cost one comparison.
"""

from meterbell.engine.alerts import ScopeAlerts, threshold_of
from meterbell.engine.counter import ALWAYS, NEVER, Baseline, Counter
from meterbell.engine.fold import usage_counted
from meterbell.engine.model import Alert, Meter

Scopes = tuple[ScopeAlerts, ...]


def new_counter(meter: Meter, scopes: Scopes) -> Counter:
    """Return a counter without usage; nothing that its alerts would have to leave out."""
    counter = Counter(armed=max((scope.revision for scope in scopes), default=0))
    refresh_next_fire(meter, counter, scopes)
    return counter


def catch_up(meter: Meter, counter: Counter, scopes: Scopes) -> None:
    """Take in the alerts made or changed since the counter was last touched.

    Nothing happened to the counter since, so its present total is its total at their creation: that
    is the baseline of those made since.
    """
    for scope in scopes:
        if scope.revision > counter.armed:
            break
    else:
        return
    _forget_inactive(counter, scopes)
    for scope in scopes:
        for alert in scope.changed_since(counter.armed):
            if alert.created_sequence > counter.armed and alert.baseline == "creation":
                baseline = Baseline(alert.created_sequence, counter.total)
                counter.open_detail().baselines[alert.id] = baseline
            if _needs_watch(counter, alert):
                detail = counter.open_detail()
                detail.watch = (*detail.watch, alert.id)
    counter.armed = max(scope.revision for scope in scopes)
    refresh_next_fire(meter, counter, scopes)


def _forget_inactive(counter: Counter, scopes: Scopes) -> None:
    """Keep baselines of alerts that may come back, and watch only active ones."""
    detail = counter.detail
    if detail is None:
        return
    if detail.baselines:
        detail.baselines = {
            alert_id: baseline
            for alert_id, baseline in detail.baselines.items()
            if any(alert_id in scope.alerts for scope in scopes)
        }
    if detail.watch:
        detail.watch = tuple(
            alert.id for alert in _watched(counter, scopes) if alert.status == "active"
        )


def _needs_watch(counter: Counter, alert: Alert) -> bool:
    """Return whether the shared thresholds can't fire this active alert any more."""
    detail = counter.read_detail()
    if alert.status != "active" or alert.id in detail.triggered or alert.id in detail.watch:
        return False
    return alert.id in detail.baselines or threshold_of(alert) <= counter.highest


def cross(
    meter: Meter, counter: Counter, scopes: Scopes, *, highest: int
) -> list[tuple[Alert, int]]:
    """Return the alerts that fire right after an event, with the usage that fired them.

    Lowest threshold first, then oldest alert first. Each is marked as triggered in the counter.

    Args:
        meter: The counter's meter.
        counter: As it is after the event.
        scopes: The alerts that watch it.
        highest: The highest total before the event.
    """
    fired: list[tuple[Alert, int]] = []
    detail = counter.read_detail()
    for scope in scopes:
        fired += [
            (alert, counter.total)
            for alert in scope.active_between(highest, counter.total)
            if alert.id not in detail.triggered and alert.id not in detail.baselines
        ]
    waiting = []
    for alert in _watched(counter, scopes):
        usage = usage_counted(meter, counter.total, detail.baselines.get(alert.id))
        if usage >= threshold_of(alert):
            fired.append((alert, usage))
        else:
            waiting.append(alert.id)
    if fired:
        detail = counter.open_detail()
        detail.watch = tuple(waiting)
        detail.triggered |= {alert.id for alert, _ in fired}
    refresh_next_fire(meter, counter, scopes)
    return sorted(fired, key=lambda pair: (pair[0].gte, pair[0].created_sequence))


def watch_between(counter: Counter, scopes: Scopes, low: int, high: int) -> None:
    """Evaluate one by one what a cancellation lifted the total over: only an event may fire it."""
    detail = counter.open_detail()
    detail.watch += tuple(
        alert.id
        for scope in scopes
        for alert in scope.active_between(low, high)
        if alert.id not in detail.triggered
        and alert.id not in detail.baselines
        and alert.id not in detail.watch
    )


def fire_at_once(meter: Meter, counter: Counter, scopes: Scopes, alert: Alert) -> None:
    """Mark an alert as triggered without waiting for an event."""
    detail = counter.open_detail()
    detail.triggered |= {alert.id}
    detail.watch = tuple(other for other in detail.watch if other != alert.id)
    refresh_next_fire(meter, counter, scopes)


def refresh_next_fire(meter: Meter, counter: Counter, scopes: Scopes) -> None:
    """Work out anew the lowest total at which an alert may fire."""
    highest = counter.highest
    lowest = min((scope.next_threshold(highest) for scope in scopes), default=NEVER)
    detail = counter.detail
    if detail is not None and detail.watch:
        if meter.formula == "last":
            lowest = ALWAYS  # usage since an alert's creation may be above the newest value
        else:
            for alert in _watched(counter, scopes):
                baseline = detail.baselines.get(alert.id)
                lowest = min(lowest, threshold_of(alert) + (baseline.value if baseline else 0))
    counter.next_fire = lowest


def _watched(counter: Counter, scopes: Scopes) -> list[Alert]:
    """Return the alerts to be evaluated one by one; after `catch_up` all of them are active."""
    return [
        scope.alerts[alert_id]
        for alert_id in counter.read_detail().watch
        for scope in scopes
        if alert_id in scope.alerts
    ]
