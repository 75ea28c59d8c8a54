"""Filters of the request log let through the same in memory and in the database."""

import pytest
from msgspec.structs import replace

from meterbell.ledger.transaction import Transaction
from meterbell.records import RequestEntry
from meterbell.requestlog.filters import RequestFilter
from meterbell.requestlog.reads import page_of_requests
from tests.unit.api.running import Api
from tests.unit.requestlog.entries import make_entry

ENTRIES = [
    make_entry(id="req_1", key_last4="abcd"),
    make_entry(id="req_2", status=404, path="/v1/Customers/cus_1"),
    make_entry(id="req_3", method="POST", status=400, path="/v1/billing/meters"),
    make_entry(id="req_4", method="POST", status=503, path="/v1/billing/meters", livemode=True),
    make_entry(id="req_5", method="POST", status=401, livemode=None),
    make_entry(id="req_6", method="DELETE", status=499, path="/v1/customers/100%_x"),
]


async def store(api: Api, entries: list[RequestEntry]) -> None:
    def command(transaction: Transaction) -> None:
        transaction.objects.insert_many(entries)

    await api.services.committer.execute(command)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (RequestFilter(), "12356"),
        (RequestFilter(methods=("POST", "DELETE")), "356"),
        (RequestFilter(statuses=((400, 499),)), "2356"),
        (RequestFilter(statuses=((200, 299), (401, 401))), "15"),
        (RequestFilter(paths=("/v1/billing/meters", "/v1/nothing")), "3"),
        (RequestFilter(paths=("/v1/customers*",)), "156"),
        (RequestFilter(paths=("/v1/customers/100%*",)), "6"),
        (RequestFilter(paths=("*",)), "12356"),
        (RequestFilter(key_last4="abcd"), "1"),
        (RequestFilter(methods=("GET",), statuses=((404, 404),)), "2"),
    ],
)
async def test_a_filter_lets_through_the_same_live_and_stored(
    api: Api, wanted: RequestFilter, numbers: str
) -> None:
    await store(api, ENTRIES)

    live = [entry.id for entry in ENTRIES if wanted.matches(entry, livemode=False)]
    with api.services.store.reading() as objects:
        stored = page_of_requests(objects, wanted, livemode=False, limit=100).items

    assert live == [f"req_{number}" for number in numbers]
    assert [entry.id for entry in stored] == live[::-1]


async def test_a_request_whose_key_names_no_mode_is_shown_in_both(api: Api) -> None:
    await store(api, ENTRIES)

    live = [entry.id for entry in ENTRIES if RequestFilter().matches(entry, livemode=True)]
    stored = page_of_requests(
        api.services.store.reader, RequestFilter(), livemode=True, limit=100
    ).items

    assert live == ["req_4", "req_5"]
    assert [entry.id for entry in stored] == live[::-1]


async def test_what_is_stored_comes_back_as_it_was(api: Api) -> None:
    entry = make_entry(
        livemode=True,
        key_last4="abcd",
        error_type="invalid_request_error",
        error_code="resource_missing",
        error_param="id",
        error_message="No such customer: 'cus_1'",
        skipped=3,
    )
    await store(api, [entry])

    assert api.services.store.reader.find(RequestEntry) == [replace(entry, number=1)]
