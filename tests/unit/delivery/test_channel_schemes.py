"""The policy on services knows every service that Apprise knows, and decides on each."""

import subprocess
import sys

import pytest

from meterbell.delivery.channels.schemes import (
    ALLOWED,
    DENIED,
    REFUSED_OPTIONS,
    has_secure_sibling,
    refusal_of_options,
    refusal_of_scheme,
)

# In a process of its own: it loads two hundred modules, and some of them warn.
LIST = """
from apprise.manager_plugins import NotificationManager
manager = NotificationManager()
manager.load_modules()
for scheme in manager.schemas():
    print(scheme, manager[scheme].enabled)
"""


def test_every_service_of_apprise_is_allowed_or_denied() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIST], check=True, capture_output=True, text=True, timeout=60
    )
    services = dict(line.split() for line in done.stdout.splitlines())

    assert set(services) == ALLOWED | set(DENIED), "decide on what another version brings"
    assert [scheme for scheme in ALLOWED if services[scheme] == "False"] == []
    assert not ALLOWED & set(DENIED)


@pytest.mark.parametrize(
    ("scheme", "reason"),
    [
        ("dbus", "own machine"),
        ("syslog", "own machine"),
        ("macosx", "own machine"),
        ("vapid", "files"),
        ("mqtt", "packages"),
        ("rsyslog", "arrived"),
        ("exec", "none that meterbell knows"),
    ],
)
def test_a_service_that_makes_no_sense_is_refused_with_the_reason(scheme: str, reason: str) -> None:
    assert reason in (refusal_of_scheme(scheme) or "")


def test_other_services_are_allowed() -> None:
    named = ("mailto", "mailtos", "slack", "workflows", "discord", "pagerduty", "jsons")

    assert [refusal_of_scheme(scheme) for scheme in named] == [None] * len(named)


@pytest.mark.parametrize("name", [*REFUSED_OPTIONS, "Verify"])
def test_options_that_would_weaken_an_attempt_are_refused(name: str) -> None:
    assert name.lower() in (refusal_of_options(["to", name]) or "")
    assert refusal_of_options(["to", "from"]) is None


def test_what_has_a_secure_sibling_is_known() -> None:
    assert has_secure_sibling("json")
    assert has_secure_sibling("mailto")
    assert not has_secure_sibling("jsons")
    assert not has_secure_sibling("slack")
