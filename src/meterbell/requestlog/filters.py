"""Which requests somebody wants to see. Pure."""

from typing import NamedTuple

from meterbell.records import RequestEntry


class RequestFilter(NamedTuple):
    """What a request must be like; an empty part of it lets everything through.

    Attributes:
        methods: One of these methods.
        statuses: A status from one of these ranges, both ends included.
        paths: One of these paths, or beginnings of paths that end in `*`.
        key_last4: The last four characters of the API key.
    """

    methods: tuple[str, ...] = ()
    statuses: tuple[tuple[int, int], ...] = ()
    paths: tuple[str, ...] = ()
    key_last4: str | None = None

    def matches(self, entry: RequestEntry, *, livemode: bool) -> bool:
        """Return whether somebody who watches a mode wants to see a request.

        One whose key names no mode is shown in both.
        """
        return (
            entry.livemode in (livemode, None)
            and (not self.methods or entry.method in self.methods)
            and (not self.statuses or any(a <= entry.status <= b for a, b in self.statuses))
            and (not self.paths or any(_fits(entry.path, pattern) for pattern in self.paths))
            and self.key_last4 in (entry.key_last4, None)
        )


def parse_status(text: str) -> tuple[int, int] | None:
    """Return the range that `404` or `4xx` stands for, or None if it is neither."""
    if len(text) != 3 or text[0] not in "12345":  # noqa: PLR2004 - as statuses are written
        return None
    if text[1:].lower() == "xx":
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    return (int(text), int(text)) if text.isascii() and text.isdecimal() else None


def _fits(path: str, pattern: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern
