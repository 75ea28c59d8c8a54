"""Baseline: the ordinary server, except that usage is acknowledged without being recorded.

`python -m bench.baselines.without_ledger serve …` takes what `meterbell serve` takes.
"""

import asyncio

from meterbell.cli.main import main
from meterbell.engine.decide import Recorded
from meterbell.engine.model import MeterEvent, UsageRequest
from meterbell.ids import CustomerId, MeterId
from meterbell.ledger.committer import Committer

_NOW = 1_767_225_600
_UNIT = 10**12


def _begin(_self: Committer, request: UsageRequest) -> "asyncio.Future[Recorded]":
    """Answer as if the event had been counted."""
    answer: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()
    event = MeterEvent(
        sequence=1,
        livemode=request.livemode,
        meter=MeterId("mtr_test_bench"),
        customer=CustomerId("cus_bench"),
        identifier=request.identifier or "bench",
        timestamp=request.timestamp or _NOW,
        value=_UNIT,
        payload=request.payload,
        previous=0,
        received_at_ms=_NOW * 1000,
        request_key=b"",
        request_digest=b"",
    )
    answer.set_result(Recorded(event, replayed=False))
    return answer


def _begin_stream(_self: Committer, *_args: object, **_more: object) -> "asyncio.Future[None]":
    """Answer as if the batch had been counted."""
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    answer.set_result(None)
    return answer


if __name__ == "__main__":
    replaced = {"begin": _begin, "begin_stream": _begin_stream}
    for name, instead in replaced.items():
        if hasattr(Committer, name):
            setattr(Committer, name, instead)
    main()
