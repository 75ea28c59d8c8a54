"""Lines to paste into a shell: what they hold is what is meant, and runs nothing."""

import html
import re
import shlex

import pytest

from meterbell.dashboard.snippets import send_command
from tests.unit.api.running import Api
from tests.unit.dashboard.visiting import Shown, Visitor

NAMES = ["$(touch x);y", "Ada's `best` calls", 'a"b\\c', "requests"]


def shown_command(shown: Shown) -> list[str]:
    """Return the words that a shell makes of the line that a page shows, and gives to copy."""
    lines = re.findall(r"meterbell send [^<\"]*", shown.text)
    (words,) = {tuple(shlex.split(html.unescape(line))) for line in lines}
    return list(words)


def command(event_name: str, customer: str) -> list[str]:
    names = ["--event-name", event_name, "--customer", customer]
    return ["meterbell", "send", *names, "--value", "5"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_shell_takes_any_event_name_on_a_page_for_that_name(
    api: Api, viewer: Visitor, name: str
) -> None:
    await api.meter(name)
    await api.customer("cus|touch-x")

    assert shown_command(await viewer.get("/dashboard/test")) == command(name, "cus_1")
    assert shown_command(await viewer.get("/dashboard/test/events")) == command(name, "cus_1")
    of_customer = await viewer.get("/dashboard/test/customers/cus|touch-x")
    assert shown_command(of_customer) == command(name, "cus|touch-x")


@pytest.mark.parametrize("customer", NAMES)
def test_a_shell_takes_any_customer_id_for_that_id(customer: str) -> None:
    line = send_command("requests", customer, livemode=True)

    assert shlex.split(line) == [*command("requests", customer), "--api-key", "sk_live_…"]
