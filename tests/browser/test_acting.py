"""The page behind the link in a message, on a phone and over plain HTTP: readable, one button, one press, with a script
and without."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from harness import past_fleet, running_server
from harness.chromium import LAN_NAME, PHONE
from harness.past_fleet import Past
from harness.running_server import RunningServer
from rmactors.common import clock, ids
from rmactors.common.vocabulary import LIFECYCLE_EVENTS
from rmactors.server.bootstrap import act_link
from rmactors.server.config.secrets import SecretBox
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.channels import SaveChannel
from rmactors.server.store.offline import commit_here
from tests.conftest import PATIENCE_MS


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, Past]]:
    """As a phone in the house reaches it: by a name, without TLS, so that the browser sends no `Sec-Fetch-Site`."""
    settings = running_server.settings_for(tmp_path_factory.mktemp("acting") / "data")
    port = settings.listen.rpartition(":")[2]
    settings = replace(settings, base_url=f"http://{LAN_NAME}:{port}")
    past = past_fleet.write(settings, 4)
    running = running_server.run(settings)
    yield running, past
    running.stop()


def opened(served: tuple[RunningServer, Past], browser: Browser, *, script: bool) -> Iterator[Page]:
    """The link about an alert of nas1 that nobody has acted on yet, in a browser that was never here."""
    (running, past), console = served, list[str]()
    settings, at, channel_id = running.settings, clock.now(), ids.new()
    box = SecretBox(settings.key_file)
    sealed = box.seal(b'{"url": "http://127.0.0.1:9/hook"}', f"notification-channel:{channel_id}")
    audit = Audit(at, "the test", "system", "channel.create", "channel", channel_id)
    made = SaveChannel(
        channel_id, "webhook", "phone", True, sealed, None, "info", LIFECYCLE_EVENTS, (), 0, 0, at, True, audit
    )
    assert isinstance(commit_here(settings, made), Committed)
    context = browser.new_context(viewport={"width": PHONE, "height": 844}, java_script_enabled=script, has_touch=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("console", lambda message: console.append(message.text))
    page.goto(act_link(settings, box, channel_id, past.spare.pop(), at))
    yield page
    context.close()
    plain = "Cross-Origin-Opener-Policy header has been ignored"  # as on every page without TLS
    assert [line for line in console if plain not in line] == []


@pytest.fixture
def page(served: tuple[RunningServer, Past], browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    yield from opened(served, browser, script=getattr(request, "param", True))


@pytest.mark.parametrize("page", [True, False], indirect=True, ids=["with script", "without script"])
def test_one_press_acknowledges(page: Page) -> None:
    expect(page.get_by_role("button")).to_have_count(1)
    expect(page.get_by_role("link")).to_have_count(1)  # past the head of the page, to its content
    page.get_by_role("button").tap()
    expect(page.get_by_role("status")).to_have_text("The alert is acknowledged.")


def test_a_silence_is_one_choice_more(page: Page) -> None:
    page.get_by_label("Silence for 4 hours").check()
    page.get_by_role("button").tap()
    expect(page.get_by_role("status")).to_have_text("Silenced for 4 hours.")


def test_the_page_fits_a_phone_and_can_be_read_by_all(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.evaluate(f"{Axe().axe_script}; null")  # as a script it would be against the page's own policy
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [violation["id"] for violation in found["violations"]] == []
