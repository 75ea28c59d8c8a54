"""Wake-ups that are due to the tenth of a millisecond; the event loop's own are due to the whole.

An open loop measures latencies of a millisecond from the moment that a request is due.
"""

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
_libc = ctypes.CDLL(None, use_errno=True)


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


class PreciseTimer:
    """Calls back once at an instant of `time.perf_counter`; Linux only."""

    def __init__(self, callback: Callable[[], None]) -> None:
        """Prepare; to be made inside the running loop."""
        self._callback = callback
        self._file = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._file, self._fire)

    def at(self, instant: float) -> None:
        """Call back at an instant, in place of the one set before."""
        instant = max(instant, time.perf_counter() - 1)
        seconds = int(instant)
        value = _Time(seconds, max(int((instant - seconds) * 1e9), 1))
        timer = _Timer(_Time(0, 0), value)
        _libc.timerfd_settime(self._file, _ABSOLUTE, ctypes.byref(timer), None)

    def close(self) -> None:
        """End."""
        self._loop.remove_reader(self._file)
        os.close(self._file)

    def _fire(self) -> None:
        try:
            os.read(self._file, 8)
        except BlockingIOError:
            return  # set anew since
        self._callback()
