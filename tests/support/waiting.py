"""Wait for a condition, with a bound. The only place where tests sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_SECONDS = 0.01


def wait_for(
    look: Callable[[], T | None], what: str | Callable[[], str], *, timeout_seconds: float = 20
) -> T:
    """Call `look` until it returns something that is true, and return that.

    Args:
        look: Returns a false value as long as there is reason to wait.
        what: Names what was waited for, should it never come.
        timeout_seconds: The bound.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            text = what if isinstance(what, str) else what()
            raise AssertionError(f"After {timeout_seconds} seconds there is still no {text}")
        time.sleep(_PAUSE_SECONDS)
