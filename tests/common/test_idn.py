"""Host names in Unicode, by IDNA 2008: each is the host that a browser would go to, and no other."""

import pytest

from rmactors.agent.server_url import BadServerUrl, agent_url
from rmactors.client.connection import Api
from rmactors.common.idn import to_ascii, url_to_ascii
from rmactors.server.channels.mail.addresses import parse_address
from rmactors.server.channels.mail.payload import thread_host
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.net.hostnames import ascii_host

NAMES = [
    ("faß.de", "xn--fa-hia.de"),  # IDNA 2003 made fass.de of it: somebody else's
    ("FAẞ.de", "xn--fa-hia.de"),
    ("βόλος.com", "xn--nxasmm1c.com"),  # the final sigma, too
    ("münchen.de", "xn--mnchen-3ya.de"),
    ("MÜNCHEN.DE", "xn--mnchen-3ya.de"),
    ("mu\u0308nchen.de", "xn--mnchen-3ya.de"),  # as a Mac writes it
    ("my_host.faß.de", "my_host.xn--fa-hia.de"),
    ("ｆaß.de", "xn--fa-hia.de"),
    ("a。ü.de", "a.xn--tda.de"),
    ("ü.de.", "xn--tda.de."),
    ("xn--fa-hia.de", "xn--fa-hia.de"),
    ("example.org", "example.org"),
]


@pytest.mark.parametrize(("name", "ascii_name"), NAMES)
def test_a_name_is_ascii_the_same_way_everywhere(name: str, ascii_name: str) -> None:
    assert to_ascii(name) == ascii_name
    assert ascii_host(name) == ascii_name
    assert parse_url(f"https://{name}:8443/x?y=1").raw_host.decode() == ascii_name
    assert agent_url(f"https://{name}:8081") == f"wss://{ascii_name}:8081/ws/agent"
    assert url_to_ascii(f"https://u:p@{name}:8443/ä?ß#ß") == f"https://u:p@{ascii_name}:8443/ä?ß#ß"
    if not name.endswith(".") and "。" not in name:
        assert parse_address(f"ops@{name}").domain == ascii_name
    assert thread_host(f"https://{name}:8443") == ascii_name


@pytest.mark.parametrize("name", ["ü" * 70 + ".de", "-ü.de", "ü de.de", "\u200dü.de", "ü\u0000.de", "\u202eü.de"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a host name"):
        to_ascii(name)
    with pytest.raises(ValueError, match="is not a host name"):
        ascii_host(name)
    with pytest.raises(ValueError):
        parse_url(f"https://{name}/")
    with pytest.raises(BadServerUrl):
        agent_url(f"https://{name}")
    with pytest.raises(ValueError):
        Api(f"https://{name}", "token")


def test_an_address_and_a_name_in_ascii_are_left_alone() -> None:
    for url in ("http://127.0.0.1:8080", "http://[fd00::5]:8080/x", "https://My_Host.example/ß"):
        assert url_to_ascii(url) == url


def test_the_command_line_goes_to_the_host_that_a_browser_would_go_to() -> None:
    assert Api("https://faß.de", "token")._connection.host == "xn--fa-hia.de"
