"""How many wrong passwords are heard before one has to wait, by account and by address. Pure."""

from collections import OrderedDict, deque

PERIOD_MS = 15 * 60 * 1000
BY_ACCOUNT_MAX = 5
BY_ADDRESS_MAX = 30
_KEYS_MAX = 10_000


class Throttle:
    """Counts failures. A name that is no account counts like one that is, so it tells nothing."""

    def __init__(self) -> None:
        """Begin without any failure."""
        self._failures: OrderedDict[tuple[str, str], deque[int]] = OrderedDict()

    def wait_ms(self, account: str, address: str, *, now_ms: int) -> int:
        """Return how long to wait before another try; 0 for not at all."""
        return max(
            self._wait_ms(("account", account), BY_ACCOUNT_MAX, now_ms),
            self._wait_ms(("address", address), BY_ADDRESS_MAX, now_ms),
        )

    def fail(self, account: str, address: str, *, now_ms: int) -> None:
        """Take in a wrong password."""
        for key in (("account", account), ("address", address)):
            failures = self._failures.pop(key, None) or deque(maxlen=BY_ADDRESS_MAX)
            failures.append(now_ms)
            self._failures[key] = failures
        while len(self._failures) > _KEYS_MAX:
            self._failures.popitem(last=False)

    def take_back(self, account: str, address: str) -> None:
        """Take back what was taken in last: it was no wrong password."""
        for key in (("account", account), ("address", address)):
            if self._failures.get(key):
                self._failures[key].pop()

    def succeed(self, account: str, address: str) -> None:
        """Take in that what was taken in last was right, after all; the account begins anew."""
        self.take_back(account, address)
        self._failures.pop(("account", account), None)

    def _wait_ms(self, key: tuple[str, str], failures_max: int, now_ms: int) -> int:
        recent = [at for at in self._failures.get(key, ()) if at > now_ms - PERIOD_MS]
        if len(recent) < failures_max:
            return 0
        return recent[-failures_max] + PERIOD_MS - now_ms
