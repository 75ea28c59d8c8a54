"""Filters of `stripe logs tail`."""

import json

import pytest

from meterbell.api.v1.cli_filters import read_filters, requests_wanted
from meterbell.errors import InvalidParamError
from meterbell.records import RequestEntry


def entry(method: str = "GET", path: str = "/v1/events", status: int = 200) -> RequestEntry:
    return RequestEntry(
        id="req_1",
        livemode=False,
        created_ms=0,
        method=method,
        path=path,
        status=status,
        duration_us=1,
    )


@pytest.mark.parametrize(
    ("filters", "wanted", "unwanted"),
    [
        ({}, entry(), None),
        ({"filter_http_method": ["POST", "delete"]}, entry("DELETE"), entry("GET")),
        ({"filter_request_path": ["/v1/events"]}, entry(), entry(path="/v1/customers")),
        ({"filter_status_code": ["404"]}, entry(status=404), entry(status=400)),
        ({"filter_status_code_type": ["400", "5XX"]}, entry(status=503), entry(status=200)),
        ({"filter_request_status": ["FAILED"]}, entry(status=500), entry(status=201)),
        ({"filter_request_status": ["SUCCEEDED"]}, entry(status=201), entry(status=400)),
        (
            {"filter_status_code_type": ["400"], "filter_request_status": ["SUCCEEDED"]},
            None,
            entry(status=404),
        ),
        ({"filter_source": ["API", "DASHBOARD"], "filter_account": ["self"]}, entry(), None),
    ],
    ids=str,
)
def test_filters_hold_back_what_is_not_wanted(
    filters: dict[str, list[str]], wanted: RequestEntry | None, unwanted: RequestEntry | None
) -> None:
    found = requests_wanted(read_filters(json.dumps(filters)))

    assert wanted is None or found.matches(wanted, livemode=False)
    assert unwanted is None or not found.matches(unwanted, livemode=False)
    assert wanted is None or not found.matches(wanted, livemode=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"filter_http_method": "POST"}',
        '{"filter_ip_address": ["1.2.3.4"]}',
        '{"filter_source": ["DASHBOARD"]}',
        '{"filter_account": ["connect_in"]}',
        '{"filter_status_code": ["many"]}',
        '{"filter_request_status": ["MAYBE"]}',
    ],
)
def test_filters_that_can_not_be_held_are_refused(text: str) -> None:
    with pytest.raises(InvalidParamError) as caught:
        read_filters(text)

    assert caught.value.param == "filters"
