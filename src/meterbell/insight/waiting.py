"""Work in threads that is over when whoever asked for it goes on, even if they were cancelled."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a function returns that runs in a thread; it must end by itself, and soon.

    A thread can't be cancelled. Who is cancelled meanwhile is held up until it has ended, so that
    nobody finds what it works on half done.
    """
    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
