"""Where notifications may go. One row a case."""

from ipaddress import ip_address

import pytest

from rmactors.server.channels.net.egress import (
    ForbiddenAddress,
    OutboundPolicy,
    PolicyError,
    is_unspecified,
    literal_address,
)

NEVER = [
    "0.0.0.0", "0.1.2.3", "::",  # unspecified
    "169.254.0.1", "169.254.169.254", "fe80::1", "fe80::1%eth0",  # link-local, the metadata service among them
    "224.0.0.1", "239.255.255.250", "ff02::1",  # multicast
    "255.255.255.255",
    "100.100.100.200", "168.63.129.16", "fd00:ec2::254",  # metadata services elsewhere
    "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::a9fe:a9fe",  # IPv4 in IPv6
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::",  # NAT64
    "2002:a9fe:a9fe::1",  # 6to4
    "2001:0:a9fe:a9fe::1", "2001:0:808:808:0:0:5601:5601",  # Teredo: server, client
    "2a00:1450::5efe:a9fe:a9fe",  # ISATAP
]  # fmt: skip


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("allowed", ["external,private,loopback", "0.0.0.0/0,::/0", "*"])
def test_some_addresses_are_never_connected_to_whatever_the_setting_says(address: str, allowed: str) -> None:
    reason = OutboundPolicy.parse(allowed).refusal(address, "hooks.example")
    assert reason is not None
    assert reason.startswith("RM_OUTBOUND_ALLOW never allows")


@pytest.mark.parametrize(
    ("address", "zone"),
    [
        ("8.8.8.8", "external"),
        ("2606:4700::1111", "external"),
        ("64:ff9b::808:808", "external"),
        ("2002:808:808::1", "external"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd12::1", "private"),
        ("fec0::1", "private"),
        ("::ffff:10.1.2.3", "private"),
        ("64:ff9b::a01:203", "private"),
        ("2002:a01:203::1", "private"),
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b:1::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
    ],
)
def test_an_address_needs_its_own_zone_and_no_other_one_will_do(address: str, zone: str) -> None:
    others = ",".join({"external", "private", "loopback"} - {zone})
    assert OutboundPolicy.parse(zone).refusal(address) is None
    refusal = OutboundPolicy.parse(others).refusal(address)
    assert refusal is not None
    assert "RM_OUTBOUND_ALLOW" in refusal
    assert f"add `{zone}`" in refusal


def test_a_network_allows_what_is_in_it_and_what_wraps_it() -> None:
    policy = OutboundPolicy.parse("10.1.0.0/16, 127.0.0.1, fd00::/8")
    assert [policy.refusal(one) is None for one in ("10.1.2.3", "10.2.0.1", "127.0.0.1", "127.0.0.2", "fd00::5")] == [
        True, False, True, False, True,
    ]  # fmt: skip
    assert policy.refusal("::ffff:10.1.2.3") is None
    assert policy.refusal("::ffff:10.2.0.1") is not None


def test_a_host_glob_goes_by_the_name_that_the_channel_has() -> None:
    policy = OutboundPolicy.parse("*.lan,hooks.example")
    assert policy.refusal("192.168.1.5", "nas.lan") is None
    assert policy.refusal("192.168.1.5", "NAS.LAN.") is None
    assert policy.refusal("127.0.0.1", "hooks.example") is None
    assert policy.refusal("192.168.1.5", "lan") is not None
    assert policy.refusal("192.168.1.5", "nas.lan.evil.example") is not None


def test_nothing_is_allowed_by_an_empty_setting() -> None:
    assert OutboundPolicy.parse("").refusal("8.8.8.8") is not None


def test_check_raises_with_the_reason() -> None:
    with pytest.raises(ForbiddenAddress, match=r"does not allow localhost \(127\.0\.0\.1\), which is loopback"):
        OutboundPolicy.parse("external").check("127.0.0.1", "localhost")


@pytest.mark.parametrize(
    ("address", "nobodys"),
    [
        ("0.0.0.0", True), ("0.1.2.3", True), ("::", True), ("::ffff:0.0.0.0", True), ("64:ff9b::", True),
        ("127.0.0.1", False), ("::1", False), ("169.254.169.254", False), ("8.8.8.8", False), ("2606:4700::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_nobodys(address: str, nobodys: bool) -> None:
    assert is_unspecified(address) is nobodys


@pytest.mark.parametrize(
    "text", ["10.0.0.0/33", "192.168.*", "10", "intern al", "a.b/c", "fd00::/200", "münchen.de", "http://x"]
)
def test_a_setting_that_cannot_be_read_names_itself(text: str) -> None:
    with pytest.raises(PolicyError, match="RM_OUTBOUND_ALLOW"):
        OutboundPolicy.parse(f"external,{text}")


@pytest.mark.parametrize("name", ["a.b", "face.b00c", "localhost", "mail_1.example.org", "*"])
def test_names_made_of_hexadecimal_letters_are_names(name: str) -> None:
    assert OutboundPolicy.parse(name).hosts == (name,)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("[::1]", "::1"),
        ("::ffff:7f00:1", "::ffff:7f00:1"),
        ("localhost", None),
        ("1.2.3.4.example.org", None),
        ("999.1.1.1", None),
    ],
)
def test_literals_are_known_in_every_form_that_a_resolver_takes(host: str, address: str | None) -> None:
    found = literal_address(host)
    assert (found and ip_address(found)) == (address and ip_address(address))
