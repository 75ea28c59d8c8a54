"""`meterbell`, but it is later: by as many seconds as METERBELL_LATER_SECONDS says."""

import os

from meterbell import clock
from meterbell.cli.main import main

if __name__ == "__main__":
    ahead_ms = int(os.environ["METERBELL_LATER_SECONDS"]) * 1000
    real = clock.SystemClock.now_ms
    clock.SystemClock.now_ms = lambda self: real(self) + ahead_ms  # type: ignore[method-assign]
    main()
