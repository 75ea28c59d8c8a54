"""Alerts: six calls, our own parameters, refusals, expansion."""

from typing import Any

import pytest

from tests.unit.api.running import LIVE_KEY, Api, alert_params

ALERTS = "/v1/billing/alerts"
BY_CUSTOMER: dict[str, Any] = {"filters": [{"type": "customer", "customer": "cus_a"}]}


@pytest.fixture
async def meter(api: Api) -> str:
    await api.customer()
    return await api.meter()


async def triggered(api: Api) -> list[tuple[str, str, int]]:
    return [
        (fact["alert"]["id"], fact["customer"], fact["value"])
        for fact in (
            event["data"]["object"] for event in await api.events(type="billing.alert.triggered")
        )
    ]


async def test_an_alert_keeps_what_it_is_made_with(api: Api, meter: str) -> None:
    made = await api.made(ALERTS, alert_params(meter, 100, **BY_CUSTOMER))

    assert made == {
        "id": made["id"],
        "object": "billing.alert",
        "alert_type": "usage_threshold",
        "livemode": False,
        "status": "active",
        "title": "Used up",
        "usage_threshold": {
            "gte": 100,
            "meter": meter,
            "recurrence": "one_time",
            "baseline": "creation",
            "filters": [{"type": "customer", "customer": "cus_a"}],
        },
    }
    assert made["id"].startswith("alrt_")
    assert await api.got(f"{ALERTS}/{made['id']}") == made


async def test_without_a_filter_it_is_for_any_customer(api: Api, meter: str) -> None:
    made = await api.got(f"{ALERTS}/{await api.alert(meter)}")

    assert made["usage_threshold"]["filters"] is None


async def test_a2_baselines_count_from_creation_or_from_the_beginning(api: Api, meter: str) -> None:
    await api.use("50")
    since = await api.alert(meter, gte=40)
    ever = await api.alert(meter, gte=40, baseline="lifetime")
    at_once = await api.alert(meter, gte=40, baseline="lifetime", evaluate_on_create="true")

    assert await triggered(api) == [(at_once, "cus_a", 50)]
    await api.use("1")
    assert await triggered(api) == [(at_once, "cus_a", 50), (ever, "cus_a", 51)]
    await api.use("39")
    assert (await triggered(api))[2:] == [(since, "cus_a", 40)]


REFUSED = [
    # changes to usage_threshold, param, words
    ({"gte": 0}, "usage_threshold[gte]", "greater than or equal to 1"),
    ({"gte": -1}, "usage_threshold[gte]", "greater than or equal to 1"),
    ({"gte": "1.5"}, "usage_threshold[gte]", "Invalid integer: 1.5"),
    ({"gte": 2**63}, "usage_threshold[gte]", "Invalid integer"),
    ({"gte": None}, "usage_threshold[gte]", "Missing required param: usage_threshold[gte]."),
    ({"meter": None}, "usage_threshold[meter]", "Missing required param"),
    ({"meter": "mtr_x"}, "usage_threshold[meter]", "No such billing meter: 'mtr_x'"),
    ({"recurrence": "daily"}, "usage_threshold[recurrence]", "must be one_time"),
    ({"recurrence": None}, "usage_threshold[recurrence]", "Missing required param"),
    ({"baseline": "never"}, "usage_threshold[baseline]", "must be one of creation or lifetime"),
    ({"evaluate_on_create": "true"}, "usage_threshold[evaluate_on_create]", "lifetime"),
    ({"evaluate_on_create": "true", "baseline": "creation"},
     "usage_threshold[evaluate_on_create]", "lifetime"),
    ({"filters": [{"type": "customer"}]}, "usage_threshold[filters][0][customer]", "Missing"),
    ({"filters": [{"customer": "cus_a"}]}, "usage_threshold[filters][0][type]", "Missing"),
    ({"filters": [{"type": "customer", "customer": "cus_x"}]},
     "usage_threshold[filters][0][customer]", "No such customer: 'cus_x'"),
    ({"filters": [{"type": "customer", "customer": "cus_a"}] * 2}, "usage_threshold[filters]",
     "at most 1 items"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "param", "words"), REFUSED)
async def test_what_no_alert_may_be(
    api: Api, meter: str, changed: dict[str, Any], param: str, words: str
) -> None:
    reply = await api.post(ALERTS, alert_params(meter, **changed))

    assert (reply.status, reply.error["param"]) == (400, param)
    assert words in reply.error["message"]
    assert (await api.got(ALERTS))["data"] == []


async def test_a_threshold_is_needed(api: Api) -> None:
    reply = await api.post(ALERTS, {"alert_type": "usage_threshold", "title": "T"})

    assert reply.error["code"] == "parameter_missing"
    assert reply.error["param"] == "usage_threshold"


async def test_an_alert_needs_an_active_meter_and_a_living_customer(api: Api, meter: str) -> None:
    await api.send("DELETE", "/v1/customers/cus_a")
    deleted = await api.post(ALERTS, alert_params(meter, **BY_CUSTOMER))
    await api.made(f"/v1/billing/meters/{meter}/deactivate")
    inactive = await api.post(ALERTS, alert_params(meter))

    assert (deleted.status, inactive.status) == (400, 400)
    assert "deleted" in deleted.error["message"]
    assert inactive.error["param"] == "usage_threshold[meter]"
    assert "inactive" in inactive.error["message"]


async def test_ids_of_the_other_mode_are_explained(api: Api, meter: str) -> None:
    live_meter = await api.meter("live", key=LIVE_KEY)
    await api.customer("cus_live", key=LIVE_KEY)

    for reply, param in (
        (await api.post(ALERTS, alert_params(live_meter)), "usage_threshold[meter]"),
        (
            await api.post(
                ALERTS,
                alert_params(meter, filters=[{"type": "customer", "customer": "cus_live"}]),
            ),
            "usage_threshold[filters][0][customer]",
        ),
    ):
        assert (reply.status, reply.error["code"]) == (400, "resource_missing")
        assert reply.error["param"] == param
        assert "a similar object exists in live mode" in reply.error["message"]


async def test_a6_status_changes_and_archive_is_final(api: Api, meter: str) -> None:
    alert = await api.alert(meter)

    async def status(action: str) -> str:
        return str((await api.made(f"{ALERTS}/{alert}/{action}"))["status"])

    assert [await status(a) for a in ("activate", "deactivate", "deactivate", "activate")] == [
        "active",
        "inactive",
        "inactive",
        "active",
    ]
    assert [await status(a) for a in ("archive", "archive")] == ["archived", "archived"]
    for action in ("activate", "deactivate"):
        reply = await api.post(f"{ALERTS}/{alert}/{action}")
        assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
        assert "archived" in reply.error["message"]
    assert (await api.got(f"{ALERTS}/{alert}"))["status"] == "archived"
    assert (await api.got(ALERTS))["data"] == []


async def test_alerts_are_listed_by_meter(api: Api, meter: str) -> None:
    other = await api.meter("other")
    first, second, third = (
        await api.alert(meter),
        await api.alert(other),
        await api.alert(meter),
    )
    await api.made(f"{ALERTS}/{first}/deactivate")

    async def ids(query: str) -> list[str]:
        return [alert["id"] for alert in (await api.got(ALERTS + query))["data"]]

    assert await ids("") == [third, second, first]
    assert await ids(f"?meter={meter}") == [third, first]
    assert await ids(f"?meter={other}&alert_type=usage_threshold") == [second]
    assert await ids("?meter=mtr_nope") == []


async def test_a7_the_next_alert_after_the_limit_is_refused(api: Api, meter: str) -> None:
    for number in range(25):
        await api.alert(meter, gte=number + 1)

    reply = await api.post(ALERTS, alert_params(meter))

    assert (reply.status, reply.error["param"]) == (400, "usage_threshold[meter]")
    assert "maximum of 25 alerts" in reply.error["message"]
    await api.alert(meter, **BY_CUSTOMER)


async def test_meter_and_customer_are_embedded_on_request(api: Api, meter: str) -> None:
    alert = await api.alert(meter, **BY_CUSTOMER)
    names = ["usage_threshold.meter", "usage_threshold.filters.customer"]

    one = await api.got(f"{ALERTS}/{alert}", {"expand": names})
    listed = await api.got(ALERTS, {"expand": [f"data.{name}" for name in names]})
    made = await api.made(f"{ALERTS}/{alert}/deactivate", {"expand": names[:1]})
    plain = await api.got(f"{ALERTS}/{alert}")

    assert one["usage_threshold"]["meter"]["event_name"] == "requests"
    assert one["usage_threshold"]["filters"][0]["customer"]["object"] == "customer"
    assert listed["data"] == [one]
    assert made["usage_threshold"]["meter"]["id"] == meter
    assert plain["usage_threshold"]["meter"] == meter


async def test_an_embedded_customer_may_have_been_deleted(api: Api, meter: str) -> None:
    alert = await api.alert(meter, **BY_CUSTOMER)
    await api.send("DELETE", "/v1/customers/cus_a")

    shown = await api.got(f"{ALERTS}/{alert}", {"expand": ["usage_threshold.filters.customer"]})

    assert shown["usage_threshold"]["filters"][0]["customer"] == {
        "id": "cus_a",
        "object": "customer",
        "deleted": True,
    }


@pytest.mark.parametrize(
    ("path", "name", "words"),
    [
        ("/{alert}", "title", "This property cannot be expanded (title)."),
        ("/{alert}", "usage_threshold", "This property cannot be expanded (usage_threshold)."),
        ("/{alert}", "data.usage_threshold.meter", "cannot be expanded"),
        ("", "usage_threshold.meter", "cannot be expanded"),
        ("", "data.title", "This property cannot be expanded (data.title)."),
        ("/{alert}", "a.b.c.d.e", "more than 4 levels"),
    ],
)
async def test_only_ids_can_be_expanded(
    api: Api, meter: str, path: str, name: str, words: str
) -> None:
    alert = await api.alert(meter)

    reply = await api.get(ALERTS + path.replace("{alert}", alert), {"expand": [name]})

    assert (reply.status, reply.error["param"]) == (400, "expand")
    assert words in reply.error["message"]
