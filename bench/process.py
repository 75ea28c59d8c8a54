"""What the kernel says about a process."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_USER_TIME = 11
_MEGABYTE = 1024


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used with all its threads; 0 for no process."""
    if not pid:
        return 0.0
    text = Path(f"/proc/{pid}/stat").read_text()
    # The name in brackets may hold anything; fields are counted from what follows it.
    fields = text.rpartition(")")[2].split()
    return (int(fields[_USER_TIME]) + int(fields[_USER_TIME + 1])) / _TICKS


def memory_mb(pid: int) -> float:
    """Return the memory that a process holds, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / _MEGABYTE
    raise RuntimeError(f"process {pid} has no memory")
