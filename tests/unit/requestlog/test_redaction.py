"""What may be kept of a request's path and of what was wrong with it."""

import pytest

from meterbell.requestlog.redaction import shown_path, shown_text


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v1/customers/cus_1", "/v1/customers/cus_1"),
        ("/v1/customers/ada@example.com|x=1", "/v1/customers/ada@example.com|x=1"),
        ("/v1/customers/sk_test_4eC39HqLyjWD", "/v1/customers/sk_test_****"),
        ("/v1/customers/cus_whsec_4eC39HqLyjWD", "/v1/customers/cus_whsec_****"),
        ("/v1/customers/a b\x1b[31m", "/v1/customers/****"),
        ("/v1/customers/ü", "/v1/customers/****"),
        ("/v1/customers/" + "x" * 256, "/v1/customers/****"),
        ("/v1/customers/" + "x" * 50, "/v1/customers/" + "x" * 50),
    ],
)
def test_a_path_of_ours_is_shown_with_ids_at_most(path: str, shown: str) -> None:
    assert shown_path(path, is_known=True) == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v1/coupons", "/v1/coupons"),
        ("/", "/"),
        ("/v1/coupons/" + "x" * 41, "/v1/coupons/****"),
        ("/v1/ada@example.com", "/v1/****"),
        ("/mes_tok_eyJsaXZl.c2ln", "/mes_tok_****"),
        ("/v1/https://a:b@example.com/token", "/v1/****"),
        ("/a" * 20, "/a" * 11 + "/****"),
    ],
)
def test_of_other_paths_plain_words_are_shown(path: str, shown: str) -> None:
    assert shown_path(path, is_known=False) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("No such customer: 'cus_1'", "No such customer: 'cus_1'"),
        ("Invalid decimal: 'sk_live_4eC39HqLyjWD'.", "Invalid decimal: 'sk_live_****'."),
        ("Invalid string: rk_test_ab...89012345; no", "Invalid string: rk_test_****; no"),
        ("Invalid URL: https://a:b@c.example/d?e=f. No", "Invalid URL: https://**** No"),
        ("Invalid URL: slack://T1/T2/T3 No", "Invalid URL: slack://**** No"),
        ("Sent Bearer abc.def", "Sent Bearer ****"),
        ("two\nlines\x1b[31m", "two lines [31m"),
        ("x" * 600, "x" * 500),
    ],
)
def test_a_message_is_shown_without_secrets(text: str, shown: str) -> None:
    assert shown_text(text, path="/v1/x", as_shown="/v1/x") == shown


def test_a_message_that_quotes_the_path_shows_it_as_the_path_is_shown() -> None:
    path = "/v1/" + "s" * 250
    message = f"Unrecognized request URL (GET: {path[:200]})."

    assert shown_text(message, path=path, as_shown="/v1/****") == (
        "Unrecognized request URL (GET: /v1/****)."
    )
