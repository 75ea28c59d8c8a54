"""How much memory a process has."""

from pathlib import Path


def memory_kib(pid: int | None = None) -> int:
    """Return how much of a process is in memory; by default of this one."""
    status = Path(f"/proc/{pid or 'self'}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])
