"""A new key for several nodes: it is in every node's file before anything is sealed under it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from rmactors import __version__
from rmactors.cli.main import main
from rmactors.common import clock
from rmactors.server.config import secrets
from rmactors.server.config.secrets import SecretBox, key_id
from rmactors.server.config.settings import Settings
from rmactors.server.nodes.membership import Membership
from rmactors.server.store import leadership, secret_rows
from rmactors.server.store.database import Connection
from rmactors.server.store.engines.opening import connect
from rmactors.server.store.place import PostgresUrl
from rmactors.server.store.transaction import atomic
from tests.config.test_key_rotation import CHANNEL


class Machine:
    """A node that is not started: its settings, its key file, and its word that it is there."""

    def __init__(self, folder: Path, name: str, url: str) -> None:
        folder.mkdir()
        self.settings = Settings(data_dir=str(folder), database_url=url, node_name=name)
        self.file = self.settings.key_file

    def run(self, *words: str) -> tuple[int, str]:
        """Exit code and what is said, on one line."""
        given = {
            "RM_DATA_DIR": self.settings.data_dir, "RM_DATABASE_URL": self.settings.database_url,
            "RM_NODE_NAME": self.settings.node_name,
        }  # fmt: skip
        done = CliRunner().invoke(main, ["keys", *words], env=given, catch_exceptions=False)
        return done.exit_code, done.output.strip()

    def say(self, box: SecretBox | None = None) -> str:
        """What a running node does every few seconds; why it could not lead."""
        membership = Membership(self.settings, box=box)
        membership.look()
        membership.close()
        return membership.unable

    def copy_from(self, other: "Machine") -> None:
        shutil.copy(other.file, self.file)

    @property
    def keys(self) -> list[str]:
        return [key_id(raw).hex() for raw in secrets.read_keys(self.file)]


@pytest.fixture
def url(postgres_place: PostgresUrl) -> PostgresUrl:
    return postgres_place


@pytest.fixture
def db(url: PostgresUrl) -> Iterator[Connection]:
    with closing(connect(url)) as connection:
        yield connection


@pytest.fixture
def machines(db: Connection, url: PostgresUrl, tmp_path: Path) -> tuple[Machine, Machine]:
    """Two with the same key, both there, and a channel that is sealed under it."""
    here, there = Machine(tmp_path / "here", "here", url.url), Machine(tmp_path / "there", "there", url.url)
    box = SecretBox.load_or_create(here.file)
    with atomic(db):
        db.execute(CHANNEL, ("one", box.seal(b"{}", "notification-channel:one")))
    there.copy_from(here)
    assert (here.say(), there.say()) == ("", "")
    return here, there


def sealed_under(db: Connection) -> str:
    ((config,),) = db.execute("SELECT config FROM channels").fetchall()
    return secrets.key_id_of(config).hex()


def test_without_a_key_that_all_have_nothing_is_rotated(db: Connection, machines: tuple[Machine, Machine]) -> None:
    here, _ = machines
    [old] = here.keys
    code, said = here.run("rotate")
    assert (code, said) == (
        1,
        "Error: other nodes need the new key first: run `rmactors keys add`, copy"
        f" {here.file} to every node, then run `rmactors keys rotate` again",
    )
    assert (here.keys, sealed_under(db)) == ([old], old)


def test_a_node_that_lacks_the_new_key_is_named(db: Connection, machines: tuple[Machine, Machine]) -> None:
    here, there = machines
    [old] = here.keys
    code, said = here.run("add")
    assert code == 0
    assert here.keys[0] == old
    assert said.startswith(f"The key {here.keys[1]} is in {here.file}. Copy the file to every node")
    here.say()
    there.say()
    code, said = here.run("rotate")
    assert code == 1
    assert said.startswith(f"Error: the new key is not in the key file of there: copy {here.file} there")
    assert (len(here.keys), sealed_under(db), secret_rows.retired(db)) == (2, old, frozenset())


def test_with_the_new_key_everywhere_it_is_the_only_one_in_the_end(
    db: Connection, machines: tuple[Machine, Machine]
) -> None:
    here, there = machines
    here.run("add")
    old, new = here.keys
    there.copy_from(here)
    leading = SecretBox(there.file)
    assert (here.say(), there.say(leading), leading.current_key_id.hex()) == ("", "", old)
    code, said = here.run("rotate")
    assert (code, said) == (
        0,
        f"1 secrets encrypted with a new key in {here.file}. Back it up, and copy it to every node again.",
    )
    assert (here.keys, sealed_under(db)) == ([new], new)
    # The other node's file still has the old key in front. It goes on, under the new one.
    assert there.keys == [old, new]
    assert there.say(leading) == ""
    assert leading.current_key_id.hex() == new
    assert len(leading.derived("a test")) == 1
    assert secret_rows.open_box(db, there.file).current_key_id.hex() == new
    there.copy_from(here)
    assert there.say(leading) == ""


def test_an_interrupted_rotation_is_finished_with_the_same_key(
    db: Connection, machines: tuple[Machine, Machine]
) -> None:
    here, there = machines
    here.run("add")
    old, new = here.keys
    there.copy_from(here)
    here.say()
    there.say()
    with atomic(db):  # as far as it had come
        db.execute("INSERT INTO facts (name, value) VALUES (?, ?)", (secret_rows.RETIRED, json.dumps([old])))
    assert here.run("rotate")[0] == 0
    assert (here.keys, sealed_under(db)) == ([new], new)


def test_there_is_one_new_key_at_a_time(machines: tuple[Machine, Machine]) -> None:
    here, _ = machines
    here.run("add")
    code, said = here.run("add")
    assert code == 1
    assert "holds a second key already" in said
    assert len(here.keys) == 2


def test_nodes_that_were_not_seen_for_long_are_not_waited_for(
    db: Connection, machines: tuple[Machine, Machine]
) -> None:
    here, there = machines
    [old] = here.keys
    db.execute("UPDATE nodes SET seen_at = seen_at - ? WHERE name = 'there'", (leadership.RECENT,))
    assert here.run("rotate")[0] == 0
    assert old not in here.keys
    assert "cannot be opened with this node's key file" in there.say()
    there.copy_from(here)
    assert there.say() == ""


def test_a_file_with_the_replaced_key_alone_does_not_lead_even_where_nothing_is_sealed(
    db: Connection, machines: tuple[Machine, Machine]
) -> None:
    here, there = machines
    db.execute("DELETE FROM channels")
    db.execute("UPDATE nodes SET seen_at = seen_at - ? WHERE name = 'there'", (leadership.RECENT,))
    assert here.run("rotate")[0] == 0
    assert "has replaced" in there.say()


def test_one_server_alone_needs_no_added_key(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["keys", "add"], env={"RM_DATA_DIR": str(tmp_path)})
    assert done.exit_code == 1
    assert "one server alone needs no `keys add`" in done.output


def test_what_a_node_says_of_its_keys_is_read_back(db: Connection) -> None:
    leadership.say(db, "a", "http://a", __version__, json.dumps(["12", "34"]), 0)
    [node] = leadership.recent(db)
    assert node.keys == {"12", "34"}
    assert abs(node.seen_at - clock.now()) < 60 * clock.SECOND
