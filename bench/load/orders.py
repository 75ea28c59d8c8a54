"""What the generator is told, and what it tells."""

from typing import Literal

from msgspec import Struct

Kind = Literal["v1", "v2"]
Spread = Literal["uniform", "hot", "zipf"]


class Orders(Struct, kw_only=True):
    """What to send, how fast, for how long.

    Attributes:
        kind: One event a request in a form (v1), or a batch in JSON (v2).
        path: Where to; v1 and v2 have their defaults in `bench.targets`.
        token: What stands behind `Bearer`; for v2 the generator asks `session_path` for it first,
            if that is given, and again when it has expired.
        run: Six characters that no other run on the same server used; identifiers begin with it.
        batch: Events in a v2 request.
        connections: Each has one request on its way at a time.
        rate: Requests a second, sent when they are due (open loop); 0 sends the next request as
            soon as a connection is free (closed loop).
        phases: Seconds and rate of each phase of an open loop, in place of one rate throughout.
        sheds: Whether a request of an open loop is left out (`unsent`) when no connection is free
            at that moment; otherwise it waits for one.
        poisson: Whether the gaps of an open loop are random, not even.
        warm_seconds: Time at the beginning that is not measured. What is sent then counts all the
            same and is verified.
        spread: Customers are equally likely; or ten of them get `hot_share` of the events and the
            rest is uniform; or they follow Zipf's law.
        quiet: So many customers, those with the highest numbers, get no usage.
        resent: Share of events that repeat an earlier, acknowledged one exactly.
        decimals: Whether values have three decimals; otherwise they are whole, 1 to 9.
        idempotency_key: Whether v1 requests carry one.
        retry_refused: Whether a request that is answered 429 is sent again.
        server_pid: Process whose CPU time is measured along; 0 for none.
        result: File for the tallies and latencies (`bench.load.tally`).
        seed: Of all randomness.
    """

    host: str = "127.0.0.1"
    port: int
    kind: Kind
    path: str
    token: str
    session_path: str = ""
    run: str
    batch: int = 100
    connections: int
    rate: float = 0
    phases: list[tuple[float, float]] = []
    sheds: bool = False
    poisson: bool = True
    seconds: float
    warm_seconds: float = 1
    customers: int
    quiet: int = 0
    meters: int
    spread: Spread = "hot"
    hot_share: float = 0.02
    resent: float = 0
    decimals: bool = False
    idempotency_key: bool = False
    retry_refused: bool = True
    server_pid: int = 0
    result: str
    seed: int = 1


class Measured(Struct, kw_only=True):
    """What came back. Latencies in milliseconds; rates of the measured time only.

    Attributes:
        seconds: The measured time.
        requests: Acknowledged in the measured time.
        events: Events in these requests, resent ones included.
        refused: Answers 429, in all of the run.
        duplicates: v1 requests that were refused because their identifier was counted already.
        failed: Requests with any other answer or none; 0 in a run that means anything.
        unsent: Requests of an open loop that were due but never sent, for want of a connection.
        quantiles: Of latencies, at `QUANTILES`.
        server_cpu: Microseconds of the server's CPU time for each event.
        generator_cpu: The same of the generator.
    """

    seconds: float
    requests: int
    events: int
    refused: int
    duplicates: int
    failed: int
    unsent: int
    p50: float
    p99: float
    p999: float
    worst: float
    quantiles: list[float]
    server_cpu: float
    generator_cpu: float
    failure: str = ""

    @property
    def rate(self) -> float:
        """Acknowledged requests a second."""
        return self.requests / self.seconds

    @property
    def event_rate(self) -> float:
        """Acknowledged events a second."""
        return self.events / self.seconds


QUANTILES = [1 - 10 ** -(step / 8) for step in range(33)]
"""From 0 to 0.9999, evenly spaced in the number of nines."""
