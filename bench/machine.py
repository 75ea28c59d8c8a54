"""The machine that the figures are from."""

import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import apsw

_WRITES = 200
_BLOCK = 4096


def describe(folder: Path) -> dict[str, Any]:
    """Return what figures depend on, with the time of a synced write in a folder."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "fdatasync_ms": round(_sync_ms(folder), 3),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _sync_ms(folder: Path) -> float:
    """Return the median time of a small synced write, in milliseconds."""
    times = []
    path = folder / "sync"
    with path.open("wb", buffering=0) as file:
        for _ in range(_WRITES):
            file.write(b"x" * _BLOCK)
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    path.unlink()
    return 1000 * statistics.median(times)
