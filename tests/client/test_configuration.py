"""The configuration file: what is written is read again, and what is wrong with a file is said."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.client.configuration import comparing, reading, writing
from rmactors.client.configuration.comparing import Change, Pair
from rmactors.client.configuration.reading import Entry, Faulty
from rmactors.client.configuration.secret_values import Secrets
from rmactors.client.configuration.server import Kept
from rmactors.client.configuration.tables import ALL, BY_NAME, CHANNELS, HOSTS, NEEDED, SCHEDULES, USERS, Values
from rmactors.common import clock

SCHEDULE = '[[schedules]]\nhost = "a"\nname = "b"\nkind = "c"\n'
SILENCE = '[[silences]]\nreason = "move"\n'

# ---- any configuration

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_names = st.sampled_from(["nas", "NAS", "db-01", 'Büro "2"', "a\\b", "x\ny", "täglich", "{x}", "#"])
_tags = st.lists(_names, max_size=3)
_numbers = st.integers(0, 2**40) | st.floats(0, 1e9, allow_nan=False)
_params = st.dictionaries(_texts, _texts | _numbers | st.booleans() | st.lists(_texts, max_size=3), max_size=3)
_times = st.integers(0, 4 * 10**15).map(clock.to_rfc3339)
_values: dict[str, st.SearchStrategy[Any]] = {
    "tags": _tags, "host_tags": _tags, "events": st.lists(st.sampled_from(["alert.raised", "alert.resolved"])),
    "enabled": st.booleans(), "disabled": st.booleans(), "params": _params, "starts_at": _times, "ends_at": _times,
    "recurrence": st.fixed_dictionaries({"cron": _texts, "duration_minutes": _numbers}),
    "quiet_hours": st.fixed_dictionaries({"from": _texts, "to": _texts}, optional={"days": _tags}),
    "digest": st.fixed_dictionaries({"cron": _texts}, optional={"timezone": _texts}),
    "config": st.dictionaries(_texts, _texts | _numbers | st.just({"env": "X"}), max_size=4),
    "password": st.none(), "host": _names, "name": _names, "username": _names,
}  # fmt: skip


def _entries(name: str) -> st.SearchStrategy[list[Values]]:
    table = BY_NAME[name]
    numeric = ("seconds", "hours", "minutes")

    def value(key: str) -> st.SearchStrategy[Any]:
        return _values.get(key, _numbers if key.endswith(numeric) else _texts)

    needed = {key: value(key) for key, default in table.keys.items() if default is NEEDED}
    others = {key: value(key) for key in table.keys if key not in needed and key != "password"}
    found = st.fixed_dictionaries(needed, optional=others).map(table.canonical)
    once = (lambda values: table.identity(values)) if name in ("hosts", "users") else None
    return st.lists(found, max_size=4, unique_by=once)


configurations = st.fixed_dictionaries({table.name: _entries(table.name) for table in ALL})


def _sorted(values: list[Values]) -> list[str]:
    return sorted(map(repr, values))


@given(configurations)
def test_what_is_written_is_read_again_and_differs_in_nothing(found: dict[str, list[Values]]) -> None:
    text = writing.text(found, ["a comment"])
    entries = reading.read(text)
    for table in ALL:
        read = [entry for entry in entries if entry.table is table]
        assert [sorted(entry.values.items(), key=str) for entry in read] == [
            sorted(values.items(), key=str) for values in _in_that_order(read, found[table.name])
        ]
        kept = [Kept(table, str(number), values) for number, values in enumerate(found[table.name])]
        pairs = comparing.pair(read, kept)
        assert pairs.only_there == []
        if table is not CHANNELS:
            assert [comparing.change_of(pair, {}) for pair in pairs.pairs] == [None] * len(read)


def _in_that_order(read: list[Entry], found: list[Values]) -> list[Values]:
    rest = list(found)
    ordered = []
    for entry in read:
        same = next(values for values in rest if values == entry.values)
        rest.remove(same)
        ordered.append(same)
    assert not rest
    return ordered


@given(configurations)
def test_the_same_configuration_is_written_in_the_same_way_whatever_order_it_came_in(
    found: dict[str, list[Values]],
) -> None:
    assert writing.text(found, []) == writing.text({name: values[::-1] for name, values in found.items()}, [])


# ---- the file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x =", "f: is not TOML: Invalid value (at end of document)"),
        ("x = 1\n", "f: unknown table 'x': use hosts, policies, schedules, channels, silences, users"),
        ("[hosts]\n", "f: hosts must be tables: begin each with [[hosts]]"),
        ("hosts = [1]\n", "f: hosts must be tables: begin each with [[hosts]]"),
        ('[[hosts]]\nname = "a"\n', "f: [[hosts]] number 1 (a): tags: is missing"),
        ('[[hosts]]\nname = "a"\ntags = []\nos = "x"\n', "f: [[hosts]] number 1 (a): os: unknown key: use name, tags"),
        (SILENCE + "host = 1\n", "[[silences]] number 1 (move): host: must be text"),
        ("[[hosts]]\nname = 1\ntags = []\n", "f: [[hosts]] number 1: name: must be text"),
        (
            '[[hosts]]\nname = "a"\ntags = []\n[[hosts]]\nname = "A"\ntags = []\n',
            "f: [[hosts]] number 2 (A): is there already, as number 1: take one of them out",
        ),
        (
            '[[channels]]\nname = "c"\nkind = "ntfy"\nconfig = 1\n',
            "f: [[channels]] number 1 (c): config: must be a table: [channels.config]",
        ),
        (
            '[[channels]]\nname = "c"\nkind = "ntfy"\n[channels.config]\nt = { envv = "X" }\n',
            '[[channels]] number 1 (c): config.t: a secret is written { env = "NAME" } or { file = "PATH" }',
        ),
        (
            '[[users]]\nusername = "a"\nrole = "admin"\npassword = "x"\n',
            '[[users]] number 1 (a): password: write { env = "NAME" } or { file = "PATH" }',
        ),
        (SILENCE + "ends_at = 2026-11-23T03:00:00\n", "(move): ends_at: a time needs a zone; put Z behind it"),
        (SILENCE + "ends_at = 2026-11-23\n", "(move): ends_at: must be a time such as 2026-11-23T03:00:00Z"),
        (SILENCE + "ends_at = 03:00:00\n", "(move): ends_at: must be a time such as 2026-11-23T03:00:00Z"),
        (SILENCE + 'ends_at = "soon"\n', "ends_at: must be a time such as 2026-11-23T03:00:00Z"),
        (SCHEDULE + "every_hours = inf\n", "every_hours: must be a finite number"),
        (
            SCHEDULE + "params = { keep = [1, 2026-11-23] }\n",
            "params.keep.1: must be a time such as 2026-11-23T03:00:00Z",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(text: str, said: str) -> None:
    with pytest.raises(Faulty) as raised:
        reading.read(text)
    assert said in "\n".join(fault.text("f") for fault in raised.value.faults)
    assert str(raised.value)


def test_a_file_with_several_faults_names_each() -> None:
    with pytest.raises(Faulty) as raised:
        reading.read('x = 1\n[[hosts]]\n[[users]]\nusername = "a"\nrole = "admin"\nid = 1\n')
    assert len(raised.value.faults) == 4


def test_times_of_toml_and_texts_mean_the_same() -> None:
    [one] = reading.read(SILENCE + "ends_at = 2026-11-23T04:00:00+01:00\n")
    [other] = reading.read(SILENCE + 'ends_at = "2026-11-23T03:00:00Z"\n')
    assert one.values == other.values
    assert one.table.identity(one.values) == other.table.identity(other.values)


def test_two_secrets_never_share_a_variable() -> None:
    channels = [
        CHANNELS.canonical({"name": name, "kind": "webhook", "config": {"url": "x", "bearer_token": {"set": True}}})
        for name in ("a b", "a.b", "A-B", "ü")
    ]
    names = [each["config"]["bearer_token"]["env"] for each in writing.with_placeholders(channels)]
    assert sorted(names) == [
        "RM_CHANNEL_A_B_BEARER_TOKEN", "RM_CHANNEL_A_B_BEARER_TOKEN_2", "RM_CHANNEL_A_B_BEARER_TOKEN_3",
        "RM_CHANNEL_BEARER_TOKEN",
    ]  # fmt: skip


# ---- secrets


def _channel(**config: Any) -> Entry:
    return Entry(CHANNELS, 1, CHANNELS.canonical({"name": "c", "kind": "webhook", "config": config}))


def test_secrets_come_from_the_environment_and_from_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\r\n")
    found = Secrets({"X": "from a variable"}, tmp_path)
    entry = _channel(url="http://x", a={"env": "X"}, b={"file": "token"}, c={"file": str(tmp_path / "token")})
    assert found.config(entry, {"url": "http://y", "gone": {"set": True}}) == {
        "url": "http://x", "a": "from a variable", "b": "from a file", "c": "from a file", "gone": None,
    }  # fmt: skip
    assert found.faults == found.notes == []


def test_a_secret_that_is_not_at_hand_stays_where_the_server_has_it(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    found = Secrets({"E": ""}, tmp_path)
    names = {"a": {"env": "E"}, "b": {"file": "no"}, "c": {"file": "empty"}, "d": {"file": "binary"}}
    stored = {key: {"set": True} for key in names}
    assert found.config(_channel(**names), stored) == stored
    assert len(found.notes) == 4
    assert found.config(_channel(**names), {}) == {}
    assert [fault.key for fault in found.faults] == ["config.a", "config.b", "config.c", "config.d"]


def test_a_password_is_asked_for_only_where_the_file_names_one(tmp_path: Path) -> None:
    found = Secrets({"P": "a long enough phrase"}, tmp_path)

    def user(password: object) -> Entry:
        return Entry(USERS, 1, USERS.canonical({"username": "a", "role": "admin", "password": password}))

    assert found.password(user(None)) is None
    assert found.password(user({"env": "P"})) == "a long enough phrase"
    assert found.password(user({"env": "Q"})) is None
    assert [fault.text("f") for fault in found.faults] == [
        "f: [[users]] number 1 (a): password: the environment variable Q is not set"
    ]


# ---- what differs


def _schedule(host: str = "nas", name: str = "n", **values: Any) -> Values:
    return SCHEDULES.canonical({"host": host, "name": name, "kind": "backup", **values})


def test_of_doubles_the_equal_ones_belong_together() -> None:
    kept = [Kept(SCHEDULES, str(n), _schedule(cron=f"{n} * * * *")) for n in range(3)]
    entries = [Entry(SCHEDULES, n, _schedule(host="NAS", cron=f"{n} * * * *")) for n in (2, 9, 1)]
    pairs = comparing.pair(entries, kept)
    assert [(pair.entry.number, pair.kept.id if pair.kept else None) for pair in pairs.pairs] == [
        (1, "1"), (2, "2"), (9, "0"),
    ]  # fmt: skip
    assert pairs.only_there == []


def test_another_way_to_say_when_takes_the_place_of_the_one_before() -> None:
    kept = Kept(SCHEDULES, "ID", _schedule(cron="@daily"))
    entry = Entry(SCHEDULES, 1, _schedule(every_hours=24))
    change = comparing.change_of(Pair(entry, kept), {"nas": "H"})
    assert change is not None
    assert change.lines == ['cron: "@daily" → not set', "every_hours: not set → 24"]
    assert [(call.method, call.path, call.body) for call in change.calls] == [
        ("PATCH", "/api/schedules/ID", {"every_hours": 24})
    ]


def _user(name: str, role: str = "admin", *, disabled: bool = False) -> Values:
    return USERS.canonical({"username": name, "role": role, "disabled": disabled})


@pytest.mark.parametrize(
    ("there", "wanted", "deleted", "none_left"),
    [
        ([_user("a")], [_user("a", "viewer")], [], True),
        ([_user("a")], [_user("a", disabled=True)], [], True),
        ([_user("a")], [_user("a", disabled=True), _user("b")], [], False),
        ([_user("a"), _user("b")], [_user("a", "viewer")], [], False),
        ([_user("a"), _user("b")], [_user("a", "viewer")], ["b"], True),
        ([_user("a", "viewer")], [_user("a", "operator")], [], False),
        ([], [_user("a", disabled=True)], [], True),
        ([], [_user("a", "viewer")], [], False),
        ([_user("a", "viewer")], [_user("a")], [], False),
    ],
)
def test_somebody_stays_who_can_administer(
    there: list[Values], wanted: list[Values], deleted: list[str], none_left: bool
) -> None:
    kept = [Kept(USERS, f"id-{values['username']}", values) for values in there]
    pairs = comparing.pair([Entry(USERS, n, values) for n, values in enumerate(wanted)], kept)
    changes = [change for pair in pairs.pairs if (change := comparing.change_of(pair, {})) is not None]
    changes += [comparing.deletion(each) for each in pairs.only_there if each.values["username"] in deleted]
    assert comparing.no_admin_left(kept, changes) is none_left


def test_those_who_become_admins_come_before_those_who_no_longer_are() -> None:
    kept = [Kept(USERS, "A", _user("a")), Kept(HOSTS, "H", {"name": "h", "tags": []})]
    wanted = [
        Entry(USERS, 1, _user("a", "viewer")), Entry(USERS, 2, _user("b")),
        Entry(HOSTS, 1, {"name": "h", "tags": ["x"]}),
    ]  # fmt: skip
    changes = [comparing.change_of(pair, {}) for pair in comparing.pair(wanted, kept).pairs]
    ordered = comparing.in_order([change for change in changes if isinstance(change, Change)])
    assert [change.head for change in ordered] == ["~ host h", "+ user b", "~ user a"]


def test_neither_a_request_nor_a_change_shows_its_secrets() -> None:
    entry = _channel(bearer_token={"env": "X"})
    body = {"name": "c", "config": {"bearer_token": "hunter2"}}
    change = comparing.channel_change(Pair(entry, None), body, {"bearer_token": {"set": True}}, [])
    assert change is not None
    assert "hunter2" not in repr(change)
    assert change.lines == ['kind = "webhook"', "config.bearer_token = { env = 'X' }"]
