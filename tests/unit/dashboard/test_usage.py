"""Usage of a meter by all customers, as lists and the overview tell it."""

from tests.unit.api.running import Api
from tests.unit.dashboard.visiting import Visitor

HOUR = 3600


async def test_usage_belongs_to_the_day_at_which_it_was_used(api: Api, viewer: Visitor) -> None:
    await api.meter()
    for customer in ("cus_a", "cus_b"):
        await api.customer(customer)
    # The tests' clock begins at midnight.
    midnight = api.clock.now_ms() // 1000
    api.clock.advance(seconds=5 * HOUR)
    for at, value in (
        (midnight - 25 * HOUR, "100"),
        (midnight - 24 * HOUR, "20"),
        (midnight - 20 * HOUR + 1, "3"),
        (midnight - 12 * HOUR, "1000"),
        (midnight, "7"),
        (midnight + 5 * HOUR, "0.5"),
    ):
        await api.use(value, customer="cus_a" if at % 2 else "cus_b", timestamp=at)

    shown = await viewer.get("/dashboard/test")

    assert "requests 7.5 23" in shown.words
    assert "at most 1000 in one" in shown.text


async def test_usage_that_does_not_add_up_is_said_to(api: Api, viewer: Visitor) -> None:
    await api.meter("seats", formula="last")

    shown = await viewer.get("/dashboard/test")

    assert "seats Does not add up over customers" in shown.words


async def test_large_usage_is_told_exactly(api: Api, viewer: Visitor) -> None:
    await api.meter()
    await api.customer()
    for _ in range(3):
        await api.use("999999999999999.999999999999")

    shown = await viewer.get("/dashboard/test")

    assert "2999999999999999.999999999997" in shown.text
