"""Recount after a run: each identifier once, each total exact, each expected trigger once.

What was acknowledged is known from the generator's tallies; it is held against what the server
answers, and, once it has stopped, against its log.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import msgspec
import numpy as np
import zstandard
from msgspec import Struct
from numpy.typing import NDArray

from bench.api import Api
from bench.load.traffic import NUMBER_DIGITS, UNIT, customer_id
from bench.show import Progress
from bench.targets import Result
from bench.world import World

_SAMPLE = 2000
_CHUNK = 50_000
_MINUTE = 60
_HOUR = 3600
_CUT_EVERY = 100
_SINCE = 1_700_000_040
_READ_USAGE = "SELECT data FROM log WHERE kind = 1 ORDER BY sequence"


class MismatchError(Exception):
    """What the server has is not what it acknowledged."""


class Verified(Struct, kw_only=True):
    """What was recounted and found right.

    Attributes:
        events: Acknowledged events, each once in the log.
        totals: Pairs of meter and customer with usage, each with its exact total in the log.
        summaries: Pairs whose total was read through the API, too.
        triggers: Expected triggers, each reported once.
    """

    events: int = 0
    totals: int = 0
    summaries: int = 0
    triggers: int = 0


class Usage(NamedTuple):
    """Some of the log's meter events, in columns.

    Attributes:
        runs: By event, the identifier's part before the hyphen.
        numbers: … and the number behind it.
        values: In thousandths.
    """

    meters: NDArray[np.int64]
    customers: NDArray[np.int64]
    runs: list[str]
    numbers: NDArray[np.int64]
    values: NDArray[np.int64]


def verify_api(
    api: Api, meters: Sequence[str], world: World, results: Sequence[Result]
) -> Verified:
    """Recount through the API of a running server.

    Args:
        api: The server.
        meters: Ids of the meters, in the order of their numbers.
        world: As prepared.
        results: All runs on this server.

    Raises:
        MismatchError: Something differs.
    """
    totals = expected_totals(world, results)
    summaries = _verify_summaries(api, meters, totals)
    triggers = _verify_triggers(api, meters, world, totals)
    return Verified(summaries=summaries, triggers=triggers)


def expected_totals(world: World, results: Sequence[Result]) -> NDArray[np.int64]:
    """Return the acknowledged usage in thousandths, by meter and customer."""
    totals = np.zeros(world.meters * world.customers, dtype=np.int64)
    for result in results:
        totals += result.tally().totals
    return totals.reshape(world.meters, world.customers)


def _verify_summaries(api: Api, meters: Sequence[str], totals: NDArray[np.int64]) -> int:
    """Compare a sample: the largest totals, and others by chance, without usage ones too."""
    flat = totals.reshape(-1)
    random = np.random.default_rng(1)
    chosen = np.union1d(
        np.argsort(flat)[-_SAMPLE // 10 :], random.integers(len(flat), size=_SAMPLE)
    )
    now = int(time.time())  # noqa: TID251 - the server's clock
    # A range that cuts an hour reads its events; a few such will do.
    whole, cut = now // _HOUR * _HOUR + 2 * _HOUR, now // _MINUTE * _MINUTE + 2 * _MINUTE
    with Progress("verify totals", len(chosen)) as progress:
        for done, pair in enumerate(chosen):
            meter, customer = divmod(int(pair), totals.shape[1])
            until = whole if done % _CUT_EVERY else cut
            params = {"customer": customer_id(customer), "start_time": _SINCE, "end_time": until}
            found = api.get(f"/v1/billing/meters/{meters[meter]}/event_summaries", params)
            value = Decimal(found["data"][0]["aggregated_value"])
            if value != Decimal(int(flat[pair])) / UNIT:
                raise MismatchError(
                    f"{customer_id(customer)} on meter {meter}: the API says {value}, "
                    f"acknowledged were {int(flat[pair]) / UNIT}"
                )
            progress.reach(done)
    return len(chosen)


def _verify_triggers(
    api: Api, meters: Sequence[str], world: World, totals: NDArray[np.int64]
) -> int:
    """Compare all triggers: alerts were there first and usage only grows, so totals say which."""
    expected: set[tuple[str, int, str]] = set()
    for number, meter in enumerate(meters):
        for gte in world.thresholds():
            reached = np.flatnonzero(totals[number] >= gte * UNIT)
            expected.update((meter, gte, customer_id(int(customer))) for customer in reached)
    found: Counter[tuple[str, int, str]] = Counter()
    with Progress("verify triggers", max(len(expected), 1)) as progress:
        for event in api.pages("/v1/events", {"types[0]": "billing.alert.triggered"}):
            fact = event["data"]["object"]
            threshold = fact["alert"]["usage_threshold"]
            found[threshold["meter"], int(threshold["gte"]), fact["customer"]] += 1
            progress.reach(found.total())
    twice = [trigger for trigger, times in found.items() if times > 1]
    missing, unexpected = expected - found.keys(), found.keys() - expected
    if twice or missing or unexpected:
        raise MismatchError(
            f"triggers: {len(missing)} missing, {len(unexpected)} unexpected, {len(twice)} twice, "
            f"such as {[*missing, *unexpected, *twice][:3]}"
        )
    return len(expected)


def verify_log(database: Path, world: World, results: Sequence[Result]) -> Verified:
    """Recount the log of a server that has stopped.

    Raises:
        MismatchError: Something differs.
    """
    tallies = {result.orders.run: result.tally() for result in results}
    counts = {run: np.zeros(len(tally.acked), dtype=np.uint16) for run, tally in tallies.items()}
    totals = np.zeros(world.meters * world.customers, dtype=np.int64)
    events = int(sum(tally.acked.sum() for tally in tallies.values()))
    with Progress("verify the log", max(events, 1)) as progress:
        done = 0
        for usage in read_log(database):
            np.add.at(totals, usage.meters * world.customers + usage.customers, usage.values)
            for run in set(usage.runs):
                if run not in counts:
                    raise MismatchError(f"the log has identifiers of a run {run} that never was")
                of_run = np.array([name == run for name in usage.runs])
                np.add.at(counts[run], usage.numbers[of_run], 1)
            done += len(usage.runs)
            progress.reach(done)
    for run, tally in tallies.items():
        wrong = np.flatnonzero(counts[run] != tally.acked)
        if len(wrong):
            first = int(wrong[0])
            raise MismatchError(
                f"{len(wrong)} identifiers of run {run} are not in the log as often as they were "
                f"acknowledged; number {first}: {counts[run][first]} and {tally.acked[first]}"
            )
    expected = expected_totals(world, results).reshape(-1)
    if not np.array_equal(totals, expected):
        raise MismatchError(f"{np.count_nonzero(totals != expected)} totals differ from the log")
    return Verified(events=events, totals=int(np.count_nonzero(expected)))


def read_log(database: Path) -> Iterator[Usage]:
    """Yield the log's meter events in commit order; the one place that knows how they are kept."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    names = dict(connection.execute("SELECT id, event_name FROM meter"))
    unpack = zstandard.ZstdDecompressor().decompress
    thousandths: dict[str, int] = {}
    try:
        columns: list[list[Any]] = [[], [], [], []]
        for (data,) in connection.execute(_READ_USAGE):
            is_packed = data[:4] == zstandard.FRAME_HEADER
            ids, places, customers, identifiers, _, values, *_ = msgspec.msgpack.decode(
                unpack(data) if is_packed else data
            )
            events = [names[ids[place]] for place in places]
            for at, more in enumerate((events, customers, identifiers, values)):
                columns[at] += more
            if len(columns[0]) >= _CHUNK:
                yield _usage(columns, thousandths)
                columns = [[], [], [], []]
        if columns[0]:
            yield _usage(columns, thousandths)
    finally:
        connection.close()


def _usage(columns: list[list[Any]], thousandths: dict[str, int]) -> Usage:
    names, customers, identifiers, values = columns
    for value in set(values) - thousandths.keys():
        thousandths[value] = int(Decimal(value) * UNIT)
    return Usage(
        meters=np.array([int(name[-2:]) for name in names]),
        customers=np.array([int(customer[4:]) for customer in customers]),
        runs=[identifier[: -NUMBER_DIGITS - 1] for identifier in identifiers],
        numbers=np.array([int(text[-NUMBER_DIGITS:]) for text in identifiers]),
        values=np.array([thousandths[value] for value in values]),
    )
