"""Who is behind a proxy, read from what the proxies say, however they write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.server.edges.addresses import client_address, is_within, one_list, parse_networks, said_last, throttle_key

PROXIES = parse_networks("10.0.0.0/8, 2001:db8:ffff::/48")
OURS = st.sampled_from(["10.0.0.2", "10.9.9.9:4711", "[2001:db8:ffff::1]:80", "2001:db8:ffff::2", "::ffff:10.0.0.3"])
FOREIGN = st.one_of(st.ip_addresses().map(str), st.sampled_from(["garbage", "", "unknown", "_hidden", "1.2.3.4:99"]))
CLIENTS = st.sampled_from(["192.0.2.1", "192.0.2.1:5678", "[2001:db8::1]:80", "2001:db8::1", "::ffff:192.0.2.1"])
PLAIN = {
    "192.0.2.1:5678": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::1", "::ffff:192.0.2.1": "::ffff:192.0.2.1",
}  # fmt: skip


@given(forged=st.lists(FOREIGN | OURS, max_size=5), client=CLIENTS, proxies=st.lists(OURS, max_size=3), data=st.data())
def test_the_one_that_the_first_of_our_proxies_saw_is_the_client_wherever_the_list_is_cut_into_lines(
    forged: list[str], client: str, proxies: list[str], data: st.DataObject
) -> None:
    items = [*forged, client, *proxies]
    lines, line = [], [items[0]]
    for item in items[1:]:
        if data.draw(st.booleans()):
            lines.append(data.draw(st.sampled_from([",", ", ", " ,\t"])).join(line))
            line = []
        line.append(item)
    lines.append(", ".join(line))
    assert client_address("10.0.0.1", one_list(lines), PROXIES) == PLAIN.get(client, client)
    assert client_address("192.0.2.9", one_list(lines), PROXIES) == "192.0.2.9", "no proxy of ours says so"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (None, "10.0.0.1"), ("", "10.0.0.1"), ("garbage", "10.0.0.1"), ("1.2.3.4, garbage", "10.0.0.1"),
        ("1.2.3.4, ", "10.0.0.1"), ("garbage, 10.0.0.2", "10.0.0.2"), ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ],
)  # fmt: skip
def test_where_the_proxies_name_nobody_the_last_of_them_is_the_client(forwarded: str | None, client: str) -> None:
    assert client_address("10.0.0.1", forwarded, PROXIES) == client


@given(before=st.lists(st.text("ab.,: ", max_size=9), max_size=3), last=st.sampled_from(["rm.example", "https", ""]))
def test_what_the_nearest_proxy_says_is_the_last_item_of_the_last_line(before: list[str], last: str) -> None:
    assert said_last(one_list([*before, last])) == last
    assert said_last(one_list([", ".join([*before, f" {last} "])])) == last
    assert said_last(None) == said_last(one_list([])) == ""


@pytest.mark.parametrize(
    ("text", "inside"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("11.1.2.3", False), ("2001:db8:ffff::9", True), ("nobody", False)],
)
def test_an_address_is_in_a_network_in_either_spelling(text: str, inside: bool) -> None:
    assert is_within(text, PROXIES) is inside


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("2001:db8:0:1:2::3", "2001:db8:0:1::/64"), ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"),
        ("<local>", "<local>"),
    ],
)  # fmt: skip
def test_an_address_counts_as_its_holder(text: str, key: str) -> None:
    assert throttle_key(text) == key


@pytest.mark.parametrize("zone", ["\x1b[31m", "x" * 16, "et\nh0", "a b", "é"])
def test_a_zone_is_the_name_of_an_interface(zone: str) -> None:
    proxies = parse_networks("10.0.0.0/8")
    assert client_address("10.0.0.1", f"fe80::1%{zone}", proxies) == "10.0.0.1"
    assert client_address("10.0.0.1", "fe80::1%eth0.5", proxies) == "fe80::1%eth0.5"


def test_without_networks_no_address_is_within_one() -> None:
    assert not is_within("127.0.0.1", ())
    assert not is_within("no address", ())
