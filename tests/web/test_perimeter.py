"""Host names, origins, proxies and headers."""

import pytest

from rmactors.common import ids
from rmactors.server.config.settings import Settings
from rmactors.server.edges.addresses import throttle_key
from rmactors.server.web.security import Perimeter, safe_next
from tests.web.conftest import Site


def perimeter(**changes: str) -> Perimeter:
    return Perimeter(Settings(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "host", "known"),
    [
        ({}, "127.0.0.1:8080", True),
        ({}, "localhost", True),
        ({}, "[::1]:8080", True),
        ({}, "evil.example", False),
        ({}, "192.168.1.5", False),
        ({}, "", False),
        ({}, "127.0.0.1:8080@evil.example", False),
        ({}, "127.0.0.1.evil.example", False),
        ({"base_url": "https://RM.example"}, "rm.example", True),
        ({"base_url": "https://rm.example"}, "RM.EXAMPLE:443", True),
        ({"base_url": "https://rm.example"}, "127.0.0.1:8080", True),  # the health check beside the proxy
        ({"base_url": "https://rm.example"}, "x.rm.example", False),
        ({"listen": "0.0.0.0:8080"}, "192.168.1.5:8080", True),  # an address cannot be rebound
        ({"listen": "0.0.0.0:8080"}, "nas.lan", False),
        ({"listen": "0.0.0.0:8080", "base_url": "http://nas.lan:8080"}, "nas.lan:8080", True),
        ({"listen": "192.168.1.5:8080"}, "192.168.1.5:8080", True),
        ({"listen": "192.168.1.5:8080"}, "localhost", False),
        ({"listen": "*:8080"}, "192.168.1.5:8080", True),
        ({"listen": "*:8080"}, "[fd00::5]:8080", True),
        ({"listen": "*:8080"}, "localhost:8080", True),
        ({"listen": "*:8080"}, "127.0.0.1:8080", True),
        ({"listen": "*:8080"}, "nas.lan:8080", False),
        ({"listen": "*:8080"}, "*:8080", False),
        ({"listen": ":8080"}, "192.168.1.5:8080", True),
        ({"listen": "[::]:8080"}, "[fd00::5]:8080", True),
        ({"listen": "[::]:8080"}, "[::1]:8080", True),
        ({"listen": "localhost:8080"}, "127.0.0.1:8080", True),
        ({"listen": "[FD00:0::5]:8080"}, "[fd00::5]:8080", True),  # however it was written
        ({"base_url": "http://[fd00:0::5]"}, "[fd00::5]", True),
        ({"base_url": "https://faß.example"}, "xn--fa-hia.example", True),  # as browsers send it
        ({"base_url": "https://faß.example"}, "fass.example", False),
    ],
)
def test_a_host_name_is_known_or_not(settings: dict[str, str], host: str, known: bool) -> None:
    assert perimeter(**settings).knows_host(host) is known


@pytest.mark.parametrize(
    ("fetch_site", "origin", "cross"),
    [
        (None, None, False),  # a program
        ("same-origin", None, False),
        ("none", None, False),  # typed by the user
        ("same-site", "http://localhost:8080", True),
        ("cross-site", None, True),
        ("cross-site", "http://localhost:8080", True),  # Sec-Fetch-Site is the browser's word
        (None, "http://localhost:8080", False),
        (None, "http://LOCALHOST:8080", False),
        (None, "http://127.0.0.1:8080", False),  # the base URL, whatever a proxy made of Host
        (None, "https://localhost:8080", True),
        (None, "http://localhost:9090", True),
        (None, "http://evil.example", True),
        (None, "null", True),
        (None, "", True),
    ],
)
def test_a_request_is_cross_site_or_not(fetch_site: str | None, origin: str | None, cross: bool) -> None:
    assert perimeter().is_cross_site(fetch_site, origin, "localhost:8080") is cross


@pytest.mark.parametrize("listen", ["*:8080", ":8080", "0.0.0.0:8080"])
def test_a_form_sent_to_any_address_of_ours_is_no_cross_site_request(listen: str) -> None:
    every = perimeter(listen=listen)
    assert every.is_cross_site(None, "http://192.168.1.5:8080", "192.168.1.5:8080") is False
    assert every.is_cross_site(None, "http://[fd00::5]:8080", "[fd00::5]:8080") is False
    assert every.is_cross_site(None, "http://localhost:8080", "localhost:8080") is False
    assert every.is_cross_site(None, "http://192.168.1.6:8080", "192.168.1.5:8080") is True
    assert every.is_cross_site(None, "http://*:8080", "192.168.1.5:8080") is True


def test_a_name_in_unicode_is_that_of_its_ascii_form() -> None:
    ours = perimeter(base_url="https://faß.example")
    assert ours.is_cross_site(None, "https://xn--fa-hia.example", "xn--fa-hia.example") is False
    assert ours.is_cross_site(None, "https://fass.example", "xn--fa-hia.example") is True


def test_behind_a_proxy_the_origin_is_that_of_the_base_url() -> None:
    behind = perimeter(base_url="https://rm.example")
    assert behind.is_cross_site(None, "https://rm.example", "rm.example") is False
    assert behind.is_cross_site(None, "https://rm.example:443", "rm.example") is False
    assert behind.is_cross_site(None, "http://rm.example", "rm.example") is True


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "client"),
    [
        ("", "10.0.0.1", "1.2.3.4", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.0/8", "10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),  # what a client claims stands further left
        ("10.0.0.0/8", "10.0.0.1", "1.2.3.4:5678", "1.2.3.4"),
        ("10.0.0.0/8", "10.0.0.1", "[2001:db8::1]:80", "2001:db8::1"),
        ("10.0.0.0/8", "10.0.0.1", "garbage", "10.0.0.1"),
        ("10.0.0.0/8", "192.168.0.1", "1.2.3.4", "192.168.0.1"),
        ("127.0.0.0/8", "::ffff:127.0.0.1", "1.2.3.4", "1.2.3.4"),
    ],
)
def test_only_a_trusted_proxy_tells_who_the_client_is(
    proxies: str, peer: str, forwarded: str | None, client: str
) -> None:
    assert perimeter(trusted_proxies=proxies).client_address(peer, forwarded) == client


def test_an_ipv6_customer_is_throttled_as_a_whole() -> None:
    assert throttle_key("2001:db8::1") == throttle_key("2001:db8::ffff:1")
    assert throttle_key("2001:db8::1") != throttle_key("2001:db8:0:1::1")
    assert throttle_key("1.2.3.4") == "1.2.3.4"


@pytest.mark.parametrize("text", ["/", "/alerts?status=all&q=a%20b", "/hosts/x#y"])
def test_a_path_of_this_site_may_be_gone_to(text: str) -> None:
    assert safe_next(text) == text


@pytest.mark.parametrize("host", ["evil.example", "127..1:80", ".1", "x" * 70, "a@localhost", "ü.example", "%00"])
async def test_an_unknown_host_name_reaches_nothing(site: Site, host: str) -> None:
    for path in ("/login", "/api/alerts", "/healthz", "/setup", "/static/style.css", "/static"):
        answer = await site.browser().get(path, headers={"Host": host})
        assert answer.status_code == 421
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["[" * 5000, "x" * 300, "%00", "a/" * 3000, "..%2f..%2fpyproject.toml", "%ff", "."])
async def test_a_static_file_that_cannot_be_is_a_404(site: Site, name: str) -> None:
    assert (await site.browser().get(f"/static/{name}")).status_code == 404


async def test_a_cross_site_post_is_refused_with_and_without_a_session(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    alert = f"/api/alerts/{ids.new()}/resolve"
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}):
        assert (await browser.post(alert, headers=headers)).status_code == 403
        assert (await browser.post("/logout", headers=headers)).status_code == 403
        assert (await site.browser().post("/login", form={}, headers=headers)).status_code == 403
    assert (await browser.post(alert, headers={"Sec-Fetch-Site": "same-origin"})).status_code == 404
    assert (await browser.get("/api/alerts", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/healthz"),
        ("GET", "/login"),
        ("GET", "/alerts"),
        ("GET", "/api/alerts"),
        ("GET", "/api/nothing"),
        ("PUT", "/api/alerts"),
        ("GET", "/static/style.css"),
        ("GET", "/static/nothing.css"),
        ("POST", "/login"),
        ("DELETE", "/healthz"),
    ],
)
async def test_every_answer_carries_the_security_headers(site: Site, method: str, path: str) -> None:
    answer = await site.browser().open(path, method=method)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Restic-Manager"] == "pages"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    if not path.startswith("/static"):
        assert answer.headers["Cache-Control"] == "no-store"
