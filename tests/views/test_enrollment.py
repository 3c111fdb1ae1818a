"""What a page says of the address that agents connect to, and what is typed where."""

import re
import shlex

import pytest
import yaml

from harness.tools import DEPLOY
from rmactors.server.web.views import enrollment, provisioning
from rmactors.server.web.views.enrollment import Typed
from rmactors.server.web.views.times import Moment

SOON = Moment(0).until(3_600_000_000)
OPEN = enrollment.address("wss://agents.example.org", "0.0.0.0:8081")


@pytest.mark.parametrize(
    ("url", "listen", "here_only", "private"),
    [
        ("ws://127.0.0.1:8081", "127.0.0.1:8081", True, True),
        ("ws://localhost:8081", "0.0.0.0:8081", True, False),
        ("ws://[::1]:8081", "[::1]:8081", True, True),
        ("ws://127.0.0.1:8081", "0.0.0.0:8081", True, False),
        ("ws://0.0.0.0:8081", "0.0.0.0:8081", True, False),
        ("ws://[::]:8081", "[::]:8081", True, False),
        ("ws://nas.lan:8081", "0.0.0.0:8081", False, False),
        ("wss://agents.example.org", "127.0.0.1:8081", False, True),
        ("ws://192.168.1.5:8081", "192.168.1.5:8081", False, False),
    ],
)
def test_an_address_that_other_machines_cannot_reach_is_known(
    url: str, listen: str, here_only: bool, private: bool
) -> None:
    found = enrollment.address(url, listen)
    assert (found.here_only, found.port_is_private) == (here_only, private)
    assert found.to_set.splitlines()[-1] == "RM_AGENT_URL=ws://NAME-OF-THIS-SERVER:8081"
    assert ("RM_AGENT_LISTEN=0.0.0.0:8081" in found.to_set) is private


def test_no_command_holds_the_token() -> None:
    found = enrollment.for_new_hosts("rme_secret", OPEN, SOON, Typed(uses="5"))
    assert found.enroll == "rmactors agent enroll --server wss://agents.example.org --token-file -"
    assert found.over_ssh == f"ssh -t HOST sudo {found.enroll}"
    for command in (found.enroll, found.over_ssh, found.run, found.playbook, enrollment.NEW_CREDENTIAL):
        assert "rme_secret" not in command


def test_a_name_reaches_the_other_shell_as_one_word() -> None:
    name = "it's the attic; rm -rf"
    found = enrollment.for_new_hosts("rme_secret", OPEN, SOON, Typed(name=name))
    assert shlex.split(found.enroll)[-1] == name
    *ssh, remote = shlex.split(found.over_ssh)
    assert (ssh, shlex.split(remote)[-1]) == (["ssh", "-t", "HOST"], name)


def test_what_enrolls_without_typing_is_shown_only_with_an_address_that_machines_reach() -> None:
    here = enrollment.address("ws://127.0.0.1:8081", "127.0.0.1:8081")
    assert enrollment.for_new_hosts("rme_x", here, SOON, Typed()).cloud_init == ""
    assert enrollment.for_new_hosts("rme_x", OPEN, SOON, Typed(name="one")).playbook == ""
    found = enrollment.for_new_hosts("rme_x", OPEN, SOON, Typed())
    assert yaml.safe_load(found.cloud_init)["write_files"][0]["content"] == "rme_x\n"
    [play] = yaml.safe_load(found.playbook)
    assert play["vars"]["rmactors_server"] == OPEN.url
    assert "rme_x" not in found.playbook


def test_a_machine_that_becomes_a_host_again_is_asked_nothing_first() -> None:
    found = enrollment.for_same_host("rme_x", OPEN, SOON)
    assert found.enroll == "rmactors agent enroll --again --server wss://agents.example.org --token-file -"


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        (Typed(), set()),
        (Typed(uses="10000", tags="a, b"), set()),
        (Typed(name="nas"), set()),
        (Typed(uses="0"), {"uses"}),
        (Typed(uses="10001"), {"uses"}),
        (Typed(uses="1.5"), {"uses"}),
        (Typed(uses="²"), {"uses"}),
        (Typed(uses=""), {"uses"}),
        (Typed(uses="9" * 5000), {"uses"}),
        (Typed(name="nas", uses="2"), {"name"}),
        (Typed(ttl="5"), {"ttl"}),
    ],
)
def test_what_is_wrong_in_the_form_is_said_beside_its_field(typed: Typed, wrong: set[str]) -> None:
    assert set(enrollment.errors_of(typed, 10_000, ("60",))) == wrong


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("cloud-init/agent.yaml", provisioning.cloud_init(provisioning.EXAMPLE_SERVER, provisioning.EXAMPLE_TOKEN)),
        ("ansible/agent.yml", provisioning.playbook(provisioning.EXAMPLE_SERVER)),
    ],
)
def test_the_files_of_deploy_are_what_the_page_shows(file: str, text: str) -> None:
    assert (DEPLOY / file).read_text() == text
    assert not re.search(r"rm[eh]_[A-Za-z0-9_-]{20}", text)
