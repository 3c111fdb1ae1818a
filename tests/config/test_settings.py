"""Settings that cannot work are refused with a sentence; what works only in part is said."""

import socket
from dataclasses import fields
from pathlib import Path

import pytest

from rmactors.server.config.settings import ALL_ADDRESSES, Settings, SettingsError, load, own_address, split_address
from rmactors.server.store.place import PostgresUrl

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


URLS = [
    ("postgresql://rm@db.lan/rm", "postgresql://rm@db.lan/rm"),
    ("postgres://rm:geheim@db.lan:5433/rm?sslmode=verify-full", "postgres://rm@db.lan:5433/rm"),
    ("postgresql://rm:ge%40he%2Fim@[::1]:5432/rm", "postgresql://rm@[::1]:5432/rm"),
    ("postgresql://rm:geheim@a:5432,b/rm?target_session_attrs=read-write", "postgresql://rm@a:5432,b/rm"),
    ("postgresql:///rm?host=/run/postgresql&password=geheim", "postgresql:///rm"),
]


@pytest.mark.parametrize(("url", "shown"), URLS)
def test_a_url_of_a_postgresql_is_the_place_of_the_database(url: str, shown: str) -> None:
    found = load({}, {"RM_DATABASE_URL": url})
    assert found.place == PostgresUrl(url)
    assert str(found.place) == shown
    assert "geheim" not in f"{found.place!r} {found.place}"


def test_without_one_the_database_is_a_file_in_the_data_dir() -> None:
    assert load({"data_dir": "/x"}, {}).place == Path("/x/rm.db")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://rm:geheim@db/rm", "must begin with postgresql://"),
        ("geheim", "must begin with postgresql://"),
        ("postgresql://rm:ge@heim@db/rm", "@ as %40"),
        ("postgresql://rm:geheim/x@db/rm", "/ as %2F"),
        ("postgresql://rm:geheim?x@db/rm", r"\? as %3F"),
        ("postgresql://rm:geheim#x@db/rm", "# as %23"),
        ("postgresql://rm:geheim%@db/rm", "% as %25"),
        ("postgresql://rm:geheim%00@db/rm", "% as %25"),
        ("postgresql://rm:ge[heim@db/rm", "must be written with its code"),
        ("postgresql://rm:geheim x@db/rm", "a space as %20"),
        ("postgresql://rm:geheim@db:99999/rm", "must name hosts as host or host:port"),
        ("postgresql://rm:geheim@db:x/rm", "must name hosts as host or host:port"),
        ("postgresql://rm:geheim@::1/rm", "an IPv6 address in brackets"),
    ],
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str, said: str) -> None:
    with pytest.raises(SettingsError, match=rf"database_url:? .*{said}") as refused:
        load({}, {"RM_DATABASE_URL": url})
    assert "geheim" not in str(refused.value)
    assert "heim@" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"require_sync": "true"}, "require_sync is for PostgreSQL"),
        ({"lease_seconds": "0.5"}, "lease_seconds must be from 1 to 3600"),
        ({"lease_seconds": "4000"}, "lease_seconds must be from 1 to 3600"),
        ({"node_name": "a\x07b"}, "node_name must have at most 200 characters"),
        ({"node_url": "rm1.lan"}, "node_url must be a URL"),
        ({"node_url": "https://rm1.lan/x"}, "node_url must not have a path"),
    ],
)
def test_a_node_that_cannot_work_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(settings, {})


def test_a_node_is_called_like_its_machine_and_found_at_the_public_url() -> None:
    found = load({"base_url": "https://rm.example/"}, {})
    assert (found.own_node_name, found.own_node_url) == (socket.gethostname(), "https://rm.example")
    found = load({"node_name": "rm1", "node_url": "http://rm1.lan:8080/"}, {})
    assert (found.own_node_name, found.own_node_url) == ("rm1", "http://rm1.lan:8080")


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
