"""Signing in and out: passwords, links, sessions, and what can go wrong with each."""

from datetime import timedelta

import pytest

from meterbell.dashboard import accounts
from meterbell.dashboard.app import Dashboard
from meterbell.dashboard.door import Door
from meterbell.dashboard.passwords import fits, hash_password, require_good
from meterbell.dashboard.session import find_site
from meterbell.dashboard.throttle import BY_ACCOUNT_MAX, BY_ADDRESS_MAX, PERIOD_MS, Throttle
from meterbell.errors import AuthenticationError, InvalidParamError
from meterbell.records import AuditEntry, DashboardSession
from meterbell.settings import Settings
from tests.unit.api.running import Api
from tests.unit.dashboard.visiting import PASSWORD, Visitor, add_user, let_in

DAY_SECONDS = timedelta(days=1).total_seconds()


async def test_a_password_signs_in_and_leads_to_where_one_wanted(
    api: Api, visitor: Visitor
) -> None:
    await add_user(api.services, "Ada", "viewer", password=PASSWORD)

    shown = await visitor.sign_in("ADA", next="/dashboard/test/alerts?status=active")

    assert (shown.status, shown.headers["location"]) == (
        303,
        "/dashboard/test/alerts?status=active",
    )
    assert (await visitor.get("/dashboard/test")).status == 200
    (entry,) = api.services.store.reader.find(AuditEntry)
    assert (entry.actor, entry.action, entry.address) == ("ada", "session.open", "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("link", "")]
)
async def test_whatever_is_wrong_the_answer_is_the_same(
    api: Api, visitor: Visitor, name: str, password: str
) -> None:
    await add_user(api.services, "ada", "viewer", password=PASSWORD)
    await add_user(api.services, "link", "viewer")

    shown = await visitor.sign_in(name, password)

    assert shown.status == 401
    assert "Name or password is not right." in shown.words
    assert password == "" or password not in shown.text
    assert (await visitor.get("/dashboard/test")).status == 303


async def test_an_unknown_name_takes_the_same_work_as_a_wrong_password(api: Api) -> None:
    stored = hash_password(PASSWORD, salt="salt")
    user = await add_user(api.services, "ada", "viewer")
    await api.services.committer.execute(lambda c: c.objects.update(type(user), password=stored))
    tried: list[str] = []

    def counting(password: str, stored: str) -> bool:
        tried.append(stored.rpartition("$")[0].rpartition("$")[0])
        return fits(password, stored)

    door = Door(api.services, fits=counting)
    for name in ("ada", "nobody"):
        with pytest.raises(AuthenticationError):
            await door.enter(name, "wrong", "127.0.0.1")

    assert len(tried) == 2
    assert tried[0] == tried[1]


async def test_a_session_known_before_signing_in_is_none_afterwards(
    api: Api, dashboard: Dashboard
) -> None:
    """Whoever planted a cookie in somebody's browser is not signed in with them."""
    await add_user(api.services, "ada", "admin", password=PASSWORD)
    victim = Visitor(dashboard)
    await victim.get("/dashboard/sign-in")
    planted = dict(victim.cookies)

    await victim.sign_in("ada")

    assert victim.cookies != planted
    assert (await Visitor(dashboard, cookies=planted).get("/dashboard/test")).status == 303
    assert (await victim.get("/dashboard/test")).status == 200


async def test_a_link_signs_in_once(api: Api, dashboard: Dashboard) -> None:
    user = await add_user(api.services, "ada", "admin")
    token = await api.services.committer.execute(lambda c: accounts.add_link(c, user))
    first, second = Visitor(dashboard), Visitor(dashboard)
    page = await first.get(f"/dashboard/sign-in/link?token={token}")
    assert (page.status, "data-submit" in page.text) == (200, True)

    shown = await first.post("/dashboard/sign-in/link", {"token": token})
    again = await second.post("/dashboard/sign-in/link", {"token": token})

    assert (shown.status, shown.headers["location"]) == (303, "/dashboard/home")
    assert again.status == 401
    assert "used already, or is too old" in again.words
    assert "data-submit" not in again.text
    assert (await second.get("/dashboard/test")).status == 303


async def test_a_link_ends_by_itself(api: Api, visitor: Visitor) -> None:
    user = await add_user(api.services, "ada", "admin")
    token = await api.services.committer.execute(lambda c: accounts.add_link(c, user))
    api.clock.advance(seconds=accounts.LINK_MS / 1000)

    assert (await visitor.post("/dashboard/sign-in/link", {"token": token})).status == 401


async def test_home_is_test_mode_until_live_mode_is_in_use(api: Api, admin: Visitor) -> None:
    before = await admin.get("/dashboard/home")
    await api.meter(key="sk_live_unit_tests")
    after = await admin.get("/dashboard/home")

    assert before.headers["location"] == "/dashboard/test"
    assert after.headers["location"] == "/dashboard"


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/dashboard\\@evil.example",
        "/dashboardx",
        "/v1/events",
        "/dashboard/\r\nset-cookie: a=b",
        "javascript:alert(1)",
    ],
)
async def test_signing_in_leads_nowhere_else(api: Api, visitor: Visitor, to: str) -> None:
    await add_user(api.services, "ada", "admin", password=PASSWORD)

    shown = await visitor.sign_in("ada", next=to)

    assert (shown.status, shown.headers["location"]) == (303, "/dashboard/home")


async def test_signing_out_ends_the_session_on_the_server(
    api: Api, dashboard: Dashboard, admin: Visitor
) -> None:
    kept = dict(admin.cookies)

    shown = await admin.post("/dashboard/test/sign-out")

    assert shown.headers["location"] == "/dashboard/test/sign-in?notice=signed_out"
    assert "Max-Age=0" in shown.cookies[0]
    assert (await Visitor(dashboard, cookies=kept).get("/dashboard")).status == 303
    assert api.services.store.reader.count(DashboardSession) == 0


async def test_a_session_that_nobody_uses_ends_after_a_day(api: Api, admin: Visitor) -> None:
    api.clock.advance(seconds=DAY_SECONDS - 1)
    assert (await admin.get("/dashboard")).status == 200
    api.clock.advance(seconds=DAY_SECONDS - 1)
    assert (await admin.get("/dashboard")).status == 200
    api.clock.advance(seconds=DAY_SECONDS)
    assert (await admin.get("/dashboard")).status == 303


async def test_a_session_in_use_ends_after_a_week(api: Api, admin: Visitor) -> None:
    for _ in range(13):
        api.clock.advance(seconds=DAY_SECONDS / 2)
        assert (await admin.get("/dashboard")).status == 200
    api.clock.advance(seconds=DAY_SECONDS / 2)
    assert (await admin.get("/dashboard")).status == 303


async def test_only_digests_of_tokens_are_stored(api: Api, admin: Visitor) -> None:
    (session,) = api.services.store.reader.find(DashboardSession)
    token = admin.cookies["meterbell_session"]
    assert token.encode() not in session.digest
    assert session.digest == accounts.digest_of(token)


@pytest.mark.parametrize("change", ["password", "remove"])
async def test_a_new_password_or_no_user_ends_all_sessions(
    api: Api, admin: Visitor, change: str
) -> None:
    user = accounts.find_user(api.services.store.reader, "ada")
    assert user is not None
    if change == "password":
        await api.services.committer.execute(
            lambda c: accounts.set_password(c, user, "another long one")
        )
    else:
        await api.services.committer.execute(lambda c: accounts.remove_user(c, user))

    assert (await admin.get("/dashboard")).status == 303


def test_cookies_on_this_machine_are_kept_from_scripts_and_other_sites() -> None:
    site = find_site("localhost:4242", None)
    assert site is not None
    assert site.set_cookie("t") == (
        "meterbell_session=t; Path=/dashboard; Max-Age=604800; HttpOnly; SameSite=Lax"
    )


def test_cookies_over_https_are_bound_to_host_and_https() -> None:
    site = find_site("bell.example.com", "https://bell.example.com")
    assert site is not None
    assert site.set_cookie("t") == (
        "__Host-meterbell_session=t; Path=/; Secure; Max-Age=604800; HttpOnly; SameSite=Lax"
    )


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil:80"]
)
async def test_a_foreign_name_gets_nothing(dashboard: Dashboard, host: str) -> None:
    """A name that points here by a trick of its owner would make our pages that site's own."""
    shown = await Visitor(dashboard, host=host).get("/dashboard/sign-in")

    assert shown.status == 421
    assert "--public-url" in shown.text
    assert shown.cookies == []


@pytest.mark.parametrize("host", ["localhost", "localhost:4242", "127.0.0.1:80", "[::1]:4242"])
async def test_this_machine_is_known_by_its_usual_names(dashboard: Dashboard, host: str) -> None:
    assert (await Visitor(dashboard, host=host).get("/dashboard/sign-in")).status == 200


def test_five_wrong_passwords_for_an_account_make_it_wait() -> None:
    throttle = Throttle()
    for at in range(BY_ACCOUNT_MAX):
        assert throttle.wait_ms("ada", f"10.0.0.{at}", now_ms=at) == 0
        throttle.fail("ada", f"10.0.0.{at}", now_ms=at)

    assert throttle.wait_ms("ada", "10.0.0.9", now_ms=5) == PERIOD_MS - 5
    assert throttle.wait_ms("bob", "10.0.0.9", now_ms=5) == 0
    assert throttle.wait_ms("ada", "10.0.0.9", now_ms=PERIOD_MS) == 0


def test_many_wrong_passwords_from_an_address_make_it_wait() -> None:
    throttle = Throttle()
    for at in range(BY_ADDRESS_MAX):
        throttle.fail(f"user-{at}", "10.0.0.1", now_ms=0)

    assert throttle.wait_ms("ada", "10.0.0.1", now_ms=0) == PERIOD_MS
    assert throttle.wait_ms("ada", "10.0.0.2", now_ms=0) == 0


def test_right_passwords_make_nobody_wait() -> None:
    throttle = Throttle()
    for _ in range(2 * BY_ADDRESS_MAX):
        throttle.fail("ada", "10.0.0.1", now_ms=0)
        throttle.succeed("ada", "10.0.0.1")

    assert throttle.wait_ms("ada", "10.0.0.1", now_ms=0) == 0


async def test_mistakes_behind_a_proxy_on_this_machine_hold_up_no_other_account(
    api: Api, visitor: Visitor
) -> None:
    await add_user(api.services, "ada", "admin", password=PASSWORD)
    for number in range(BY_ADDRESS_MAX):
        assert (await visitor.sign_in(f"nobody-{number}", "wrong")).status == 401

    assert (await visitor.sign_in("ada", PASSWORD)).status == 303


@pytest.mark.parametrize("url", ["https://Bell.example.com", "https://bell.example.com:443"])
def test_the_public_url_is_known_as_browsers_write_it(url: str) -> None:
    assert find_site("bell.example.com", url) is not None


def test_what_is_kept_of_wrong_passwords_is_bounded() -> None:
    throttle = Throttle()
    for at in range(20_000):
        throttle.fail(f"user-{at}", f"address-{at}", now_ms=0)
    assert len(throttle._failures) <= 10_000  # noqa: SLF001 - a bound shows nowhere else


async def test_an_account_that_has_to_wait_is_told_so(api: Api, visitor: Visitor) -> None:
    await add_user(api.services, "ada", "admin", password=PASSWORD)
    for _ in range(BY_ACCOUNT_MAX):
        assert (await visitor.sign_in("ada", "wrong")).status == 401

    shown = await visitor.sign_in("ada")

    assert shown.status == 429
    assert "Try again in 15 minutes" in shown.words
    api.clock.advance(seconds=PERIOD_MS / 1000)
    assert (await visitor.sign_in("ada")).status == 303


@pytest.mark.parametrize("password", ["short", "x" * 1025])
def test_a_password_has_a_length(password: str) -> None:
    with pytest.raises(InvalidParamError, match="12 to 1024 characters"):
        require_good(password)


def test_a_stored_password_is_salted_and_slow() -> None:
    first, second = (hash_password(PASSWORD, salt=salt, cost=16) for salt in ("a", "b"))
    assert first != second
    assert fits(PASSWORD, first)
    assert not fits(PASSWORD + "!", first)
    assert hash_password(PASSWORD, salt="a").startswith("scrypt$32768$a$")


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "<b>", "x" * 65])
async def test_a_user_needs_a_plain_name(api: Api, name: str) -> None:
    with pytest.raises(InvalidParamError):
        await add_user(api.services, name, "viewer")


async def test_a_name_is_taken_once(api: Api) -> None:
    await add_user(api.services, "ada", "viewer")
    with pytest.raises(InvalidParamError, match="already"):
        await add_user(api.services, "ADA", "viewer")


async def test_behind_https_only_the_secure_cookie_counts(api: Api, dashboard: Dashboard) -> None:
    assert Settings(public_url="https://bell.example.com").public_url
    visitor = await let_in(api.services, Visitor(dashboard), "ada", "admin")
    visitor.cookies = {"__Host-meterbell_session": visitor.cookies["meterbell_session"]}

    assert (await visitor.get("/dashboard")).status == 303
