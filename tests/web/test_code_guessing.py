"""Wrong codes of the second factor: they slow down, end the sign-in, are told, and lock nobody out."""

from dataclasses import replace
from pathlib import Path

from quart.testing.client import QuartClient

from rmactors.common import clock
from rmactors.server.messages.answers import Committed, Refused
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.second_factors import CodeWasWrong, TryCode
from rmactors.server.store import guesses
from rmactors.server.store.engines.sqlite import connect
from rmactors.server.store.offline import prepare
from rmactors.server.store.writer import Writer
from rmactors.server.web.auth import totp
from tests.web.conftest import PASSWORD, Site, settings_for
from tests.web.test_login import SECRET, cookie_of, form, turn_on_second_factor

PATH = "/login/second-factor"


async def password_given(site: Site) -> QuartClient:
    """A browser that owes the code."""
    browser = site.browser()
    answer = await browser.post("/login", form=form())
    assert answer.status_code == 303
    return browser


def right(site: Site) -> str:
    return totp.code(SECRET, totp.step_at(site.clock()))


def wrong(site: Site) -> str:
    """Six digits that are no code around now."""
    near = {totp.code(SECRET, totp.step_at(site.clock()) + step) for step in range(-3, 4)}
    return next(text for text in ("000000", *(str(n) * 6 for n in range(1, 9))) if text not in near)


async def give(site: Site, browser: QuartClient, code: str) -> int:
    """The status of one code, when the throttles of addresses and accounts have forgotten earlier ones."""
    site.clock.advance(12 * clock.SECOND)
    return (await browser.post(PATH, form={"code": code})).status_code


async def guess(site: Site, times: int, code: str = "") -> None:
    """So many wrong codes, each after its pause, signing in again where that is asked for."""
    browser = await password_given(site)
    for n in range(times):
        if n and n % guesses.IN_A_SESSION == 0:
            site.clock.advance(clock.MINUTE)
            browser = await password_given(site)
        [row] = site.sql("SELECT coalesce(max(in_a_row), 0) AS n FROM code_tries") or [{"n": 0}]
        site.clock.advance(guesses.pause_after(row["n"]))
        if guesses.pause_after(row["n"]) > 9 * clock.MINUTE:
            browser = await password_given(site)
        assert await give(site, browser, code or wrong(site)) == 422


async def test_five_wrong_codes_end_the_sign_in(site: Site) -> None:
    await turn_on_second_factor(site, await site.user())
    browser = await password_given(site)
    owing = cookie_of(browser)
    assert [await give(site, browser, wrong(site)) for _ in range(4)] == [422] * 4
    site.clock.advance(12 * clock.SECOND)
    last = await browser.post(PATH, form={"code": wrong(site), "next": "/jobs"})
    text = await last.get_data(as_text=True)
    assert last.status_code == 422
    assert "Sign in again with your password" in text
    assert 'value="/jobs"' in text
    assert cookie_of(browser) is None
    assert site.sql("SELECT 1 FROM sessions") == []
    stale = await site.browser().post(PATH, form={"code": right(site)}, headers={"Cookie": f"rm={owing}"})
    assert stale.headers["Location"].startswith("/login?"), "not even the right one is taken there"


async def test_after_ten_in_a_row_each_wrong_code_doubles_the_pause_and_not_even_a_right_one_is_looked_at(
    site: Site,
) -> None:
    await turn_on_second_factor(site, await site.user())
    await guess(site, 11)
    browser = await password_given(site)
    site.clock.advance(5 * clock.SECOND)
    early = await browser.post(PATH, form={"code": right(site)})
    assert early.status_code == 429
    assert 1 <= int(early.headers["Retry-After"]) <= 24
    assert "wrong codes" in await early.get_data(as_text=True)
    site.clock.advance(24 * clock.SECOND)
    assert (await browser.post(PATH, form={"code": right(site)})).status_code == 303
    assert (await browser.get("/api/alerts")).status_code == 200
    assert [row["in_a_row"] for row in site.sql("SELECT in_a_row FROM code_tries")] == [0], "the row is over"


async def test_the_longest_pause_is_an_hour_and_then_the_owner_gets_in(site: Site) -> None:
    await turn_on_second_factor(site, await site.user())
    site.sql(
        "INSERT INTO code_tries (user_id, kind, in_a_row, last_at) SELECT id, 'totp', 5000, ? FROM users", site.clock()
    )
    browser = await password_given(site)
    answer = await browser.post(PATH, form={"code": right(site)})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) <= 3600
    site.clock.advance(clock.HOUR)
    browser = await password_given(site)
    assert await give(site, browser, right(site)) == 303


async def test_recovery_codes_are_counted_apart(site: Site) -> None:
    codes = totp.new_recovery_codes()
    await turn_on_second_factor(site, await site.user(), codes)
    await guess(site, 11)
    browser = await password_given(site)
    assert (await browser.post(PATH, form={"code": right(site)})).status_code == 429
    site.clock.advance(12 * clock.SECOND)
    assert (await browser.post(PATH, form={"code": codes[0]})).status_code == 303
    counted = {row["kind"]: row["in_a_row"] for row in site.sql("SELECT kind, in_a_row FROM code_tries")}
    assert counted == {"totp": 11, "recovery": 0}
    await guess(site, 10, "aaaa-bbbb-cccc-dddd")
    [row] = site.sql("SELECT in_a_row FROM code_tries WHERE kind = 'recovery'")
    assert row["in_a_row"] == 10


async def test_tries_that_come_at_once_are_all_counted_before_any_is_looked_at(site: Site) -> None:
    user_id = await site.user()
    await turn_on_second_factor(site, user_id)
    await password_given(site)
    [session] = site.sql("SELECT id FROM sessions")
    at = site.clock()
    answers = [await site.services.ask_store(TryCode(user_id, session["id"], "totp", at)) for _ in range(8)]
    assert [type(answer) for answer in answers] == [Committed] * 5 + [Refused] * 3
    site.sql("UPDATE sessions SET tried_codes = 0")
    answers = [await site.services.ask_store(TryCode(user_id, session["id"], "totp", at)) for _ in range(8)]
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(answers) - len(refused) == 5
    assert {answer.code for answer in refused} == {"too_early"}


async def test_administrators_are_told_on_the_pages_and_in_the_trail(site: Site) -> None:
    await turn_on_second_factor(site, await site.user("anna"))
    await site.user("boss")
    await site.user("bert", "operator")

    async def notice(name: str) -> bool:
        site.clock.advance(12 * clock.SECOND)
        page = await (await (await site.log_in(name)).get("/alerts")).get_data(as_text=True)
        return "Someone who knows the password of anna entered 10 wrong codes in a row" in page

    await guess(site, 9)
    assert site.sql("SELECT 1 FROM audit WHERE action = 'user.code_guessing'") == []
    assert not await notice("boss")
    await guess(site, 1)
    [row] = site.sql("SELECT * FROM audit WHERE action = 'user.code_guessing'")
    assert (row["actor"], row["result"]) == ("anna", "failed")
    assert "10 wrong in a row" in row["detail"]
    assert await notice("boss")
    assert not await notice("bert")
    browser = await password_given(site)
    site.clock.advance(clock.MINUTE)
    assert await give(site, browser, right(site)) == 303
    assert await notice("boss"), "it may have been found by trying"
    [user] = site.sql("SELECT id FROM users WHERE username = 'anna'")
    await site.api("PATCH", f"/api/users/{user['id']}", {"password": "another good phrase"})
    assert not await notice("boss"), "anyone who tried knew the old password"


def test_the_log_tells_it_once_it_is_on_disk(tmp_path: Path) -> None:
    writer = Writer(connect(prepare(settings_for(tmp_path))))
    row = Audit(0, "anna", "user", "user.second_factor", "user", "x", "192.0.2.1", "failed")
    wrong = CodeWasWrong("x", "totp", None, 0, row, replace(row, action="user.code_guessing"), 10)
    _, wakeups = writer.apply([(wrong,)])
    writer.close()
    [told] = [fields for level, event, fields in wakeups.told if (level, event) == ("warning", "user.code_guessing")]
    assert (told["actor"], told["address"]) == ("anna", "192.0.2.1")


async def test_who_mistypes_now_and_then_notices_nothing(site: Site) -> None:
    await turn_on_second_factor(site, await site.user())
    for _ in range(8):
        site.clock.advance(clock.MINUTE)
        browser = await password_given(site)
        assert [await give(site, browser, wrong(site)) for _ in range(3)] == [422] * 3
        site.clock.advance(clock.MINUTE)
        assert await give(site, browser, right(site)) == 303
    assert site.sql("SELECT 1 FROM audit WHERE action = 'user.code_guessing'") == []


async def test_a_login_says_by_which_factor(site: Site) -> None:
    codes = totp.new_recovery_codes()
    user_id = await site.user()
    await site.log_in()
    await turn_on_second_factor(site, user_id, codes)
    for code in (wrong(site), right(site)):
        browser = await password_given(site)
        await give(site, browser, code)
    browser = await password_given(site)
    await give(site, browser, codes[0])
    rows = site.sql("SELECT action, result, detail FROM audit WHERE action IN ('user.login', 'user.second_factor')")
    assert [(row["action"], row["result"], row["detail"]) for row in rows] == [
        ("user.login", "ok", "password"),
        ("user.second_factor", "failed", "totp"),
        ("user.login", "ok", "totp"),
        ("user.login", "ok", "recovery code"),
    ]
    assert PASSWORD not in str([dict(row) for row in site.sql("SELECT * FROM audit")])
