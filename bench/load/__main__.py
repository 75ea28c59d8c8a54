"""`python -m bench.load`: orders as JSON on stdin, figures as JSON on stdout."""

import gc
import sys

import msgspec
import uvloop

from bench.load.orders import Orders
from bench.load.run import Run


async def _run(orders: Orders) -> None:
    measured = await Run(orders).run()
    sys.stdout.buffer.write(msgspec.json.encode(measured))


if __name__ == "__main__":
    gc.disable()  # nothing here is circular, and a collection would look like a slow answer
    uvloop.run(_run(msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)))
