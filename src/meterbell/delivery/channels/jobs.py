"""What the server asks of the process that speaks to services, and what that answers."""

from typing import Literal

from msgspec import Struct


class Policy(Struct, frozen=True):
    """The first line that the process reads: settings that the egress policy follows."""

    host: str
    egress_allow: str | None


class Job(Struct, frozen=True):
    """One thing to do; each is done in a process of its own.

    Attributes:
        kind: Whether to look at the URL only, or to send.
        seconds: After so many it ends, whatever it does.
        url: Apprise's URL, with all its secrets.
    """

    id: int
    kind: Literal["check", "send"]
    seconds: float
    url: str
    livemode: bool
    title: str = ""
    body: str = ""


class Done(Struct, frozen=True):
    """What came of a job.

    Attributes:
        outcome: As in `delivery.outcome.Outcome`.
        refusal: Why a URL that was looked at can't be used.
        service: What it leads to: "Slack".
        shown: The URL without its secrets.
    """

    id: int
    outcome: str = ""
    status_code: int | None = None
    retry_after: str | None = None
    response: bytes = b""
    refusal: str | None = None
    service: str = ""
    shown: str = ""
