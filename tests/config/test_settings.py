"""Settings that cannot work are refused with a sentence; what works only in part is said."""

from dataclasses import fields
from pathlib import Path

import pytest

from rmactors.server.config.settings import ALL_ADDRESSES, Settings, SettingsError, load, own_address, split_address

TLS = {"tls_cert_file": "c.pem", "tls_key_file": "k.pem"}


@pytest.mark.parametrize(
    ("text", "host", "own"),
    [
        ("127.0.0.1:8080", "127.0.0.1", "127.0.0.1:8080"),
        ("*:8080", ALL_ADDRESSES, "127.0.0.1:8080"),
        (":8080", ALL_ADDRESSES, "127.0.0.1:8080"),
        ("0.0.0.0:8080", "0.0.0.0", "127.0.0.1:8080"),
        ("[::]:8080", "::", "[::1]:8080"),
        ("[2001:db8::1]:8080", "2001:db8::1", "[2001:db8::1]:8080"),
        ("localhost:8080", "localhost", "localhost:8080"),
        ("nas.lan:8080", "nas.lan", "nas.lan:8080"),
    ],
)
def test_an_address_to_listen_on(text: str, host: str, own: str) -> None:
    assert split_address(text) == (host, 8080)
    assert own_address(text) == own
    assert load({"listen": text}, {}).public_url == f"http://{own}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("8080", "is not host:port"), ("", "is not host:port"), ("host:", "is not host:port"),
        ("host:http", "is not host:port"), ("host:65536", "is not host:port"), ("host:²", "is not host:port"),
        ("::1:8080", "stands in brackets"), (":::8080", "stands in brackets"), ("[*]:8080", "only an IPv6 address"),
        ("[127.0.0.1]:8080", "only an IPv6 address"), ("*.lan:8080", "only alone"),
        ("http://x:8080", "is not host:port"),
        ("a b:8080", "is not host:port"), ("x/y:8080", "is not host:port"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["listen", "agent_listen"])
def test_what_is_no_address_to_listen_on_is_refused(name: str, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load({name: text}, {})


@pytest.mark.parametrize("text", ["https://rm.example", "https://rm.example/", "http://[::1]:8080", "HTTP://nas:80/"])
def test_a_base_url_is_the_root_of_a_host(text: str) -> None:
    assert load({"base_url": text}, {}).public_url == text.rstrip("/")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://rm.example/backup", "must not have a path"),
        ("https://rm.example/backup/", "must not have a path"),
        ("https://rm.example//", "must not have a path"),
        ("https://rm.example/?a=b", "must not have a query"),
        ("https://rm.example?", "must not have a query"),
        ("https://rm.example/#x", "must not have a fragment"),
        ("https://anna:secret@rm.example", "must not have a user name"),
        ("https://rm.example:99999", "must be a URL"),
        ("https://[::1", "must be a URL"),
        ("https://rm example", "must be a URL"),
        ("rm.example", "must be a URL"),
        ("ftp://rm.example", "must be a URL"),
    ],
)
def test_a_base_url_that_cannot_work_is_refused(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        load({"base_url": text}, {})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, []),
        ({"listen": "localhost:8080"}, []),
        ({"listen": "[::1]:8080"}, []),
        ({"listen": "192.168.1.5:8080"}, ["browsers drop"]),
        ({"listen": "*:8080"}, ["browsers drop", "RM_BASE_URL is not set"]),
        ({"listen": "0.0.0.0:8080"}, ["browsers drop", "RM_BASE_URL is not set"]),
        ({"listen": "0.0.0.0:8080", "base_url": "http://nas.lan:8080"}, ["browsers drop"]),
        ({"base_url": "http://nas.lan"}, ["browsers drop"]),  # a proxy without TLS
        ({"listen": "0.0.0.0:8080", "base_url": "https://nas.lan"}, []),  # a proxy with TLS
        ({"listen": "192.168.1.5:8080", "cookie_secure": False}, ["take over a session"]),
        ({"listen": "192.168.1.5:8080", **TLS}, []),
    ],
)
def test_what_works_only_in_part_is_said(settings: dict[str, object], said: list[str]) -> None:
    found = Settings(**settings).warnings  # type: ignore[arg-type]
    assert len(found) == len(said)
    for text, part in zip(found, said, strict=True):
        assert part in text


OIDC = {"oidc_issuer": "https://id.example/x", "oidc_client_id": "rm", "oidc_roles": "admins=admin"}


def test_a_provider_is_its_issuer_our_id_there_and_roles(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("very secret\n")
    found = load(OIDC, {"RM_OIDC_CLIENT_SECRET_FILE": str(secret), "RM_PASSWORD_LOGIN": "false"})
    assert (found.oidc_client_secret, found.oidc_role_claim, found.password_login) == ("very secret", "groups", False)
    assert found.warnings == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"oidc_issuer": ""}, "oidc_client_id is set, but oidc_issuer is not"),
        ({"oidc_issuer": "id.example"}, "oidc_issuer must be a URL"),
        ({"oidc_issuer": "https://id.example/?x=1"}, "oidc_issuer must have no query"),
        ({"oidc_issuer": "https://anna@id.example"}, "oidc_issuer must have no query, no fragment and no user name"),
        ({"oidc_client_id": ""}, "oidc_client_id is missing"),
        ({"oidc_role_claim": ""}, "oidc_role_claim must name"),
        ({"oidc_roles": ""}, "oidc_roles is missing, so nobody could sign in"),
        ({"oidc_roles": "admins"}, "oidc_roles: 'admins' is not group=role"),
        ({"password_login": "perhaps"}, "password_login must be true or false"),
    ],
)
def test_a_provider_that_cannot_work_is_refused(change: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(OIDC | change, {})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({**OIDC, "oidc_issuer": "http://id.example"}, "RM_OIDC_ISSUER is plain HTTP"),
        ({"password_login": False}, "only users who have a passkey can sign in"),
    ],
)
def test_a_way_in_that_is_doubtful_is_said(settings: dict[str, object], said: str) -> None:
    [found] = Settings(**settings).warnings  # type: ignore[arg-type]
    assert said in found


@pytest.mark.parametrize(("value", "number"), [("0", 0), (" 25 ", 25), (7, 7), ("1000000", 1_000_000)])
def test_a_bound_is_a_whole_number_and_0_is_none(value: object, number: int) -> None:
    assert load({"max_open_alerts_per_host": value}, {}).max_open_alerts_per_host == number
    assert load({}, {"RM_MAX_OPEN_ALERTS_PER_HOST": str(value)}).max_open_alerts_per_host == number


@pytest.mark.parametrize("value", ["", "-1", "1.5", "1e3", "many", "²", "9" * 40, 2.0, True, [5]])
def test_what_is_no_whole_number_is_no_bound(value: object) -> None:
    with pytest.raises(SettingsError, match=r"max_open_alerts_per_host must be a whole number, 0 or more"):
        load({"max_open_alerts_per_host": value}, {})


def test_the_bound_of_open_alerts_is_a_thousand_unless_said_otherwise() -> None:
    assert Settings().max_open_alerts_per_host == 1000


@pytest.mark.parametrize("name", [setting.name for setting in fields(Settings)])
def test_every_setting_stands_in_the_documentation(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    assert f"`RM_{name.upper()}`" in page
