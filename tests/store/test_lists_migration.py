"""What the migration fills in for lists is what the server notes from then on."""

from pathlib import Path

from rmactors.common.clock import DAY
from rmactors.server.config import resources
from rmactors.server.state.repositories import Size, growth_a_month
from rmactors.server.store.engines.sqlite import connect
from rmactors.server.store.migrations import migrate, statements

NOON = 20_000 * DAY + DAY // 2
HISTORIES = {
    "no size": [],
    "one": [(0, 10)],
    "less than a day": [(0, 10), (0, 12)],
    "a week": [(-7, 10), (-3, 20), (0, 50)],
    "a quarter": [(ago, 1000 - 7 * ago * ago) for ago in range(-90, 1, 3)],
    "with a hole": [(-80, 5), (-79, 7), (-2, 90), (0, 100)],
    "shrinking": [(ago, -ago * 10) for ago in range(-40, 1)],
}


def test_growth_and_newest_backups_are_filled_in_as_they_will_be_noted(tmp_path: Path) -> None:
    older = tmp_path / "schema"
    older.mkdir()
    scripts = sorted(resources.path("schema").glob("[0-9]*.sql"))
    for script in scripts:
        if script.name < "0017":
            (older / script.name).write_text(script.read_text())
    db = connect(tmp_path / "rm.db")
    migrate(db, older)
    for name, sizes in HISTORIES.items():
        db.execute("INSERT INTO repositories (id, first_seen_at) VALUES (?, 0)", (name,))
        for day, held in dict(sizes).items():
            at = NOON + day * DAY
            db.execute("INSERT INTO repository_sizes VALUES (?, ?, ?, ?, 1)", (name, at // DAY, at, held))
    db.execute(
        "INSERT INTO hosts (id, name, name_key, hostname, os, arch, agent_version, enrolled_at)"
        " VALUES ('H', 'nas', 'nas', '', '', '', '', 0)"
    )
    for number, (kind, status, ended) in enumerate(
        (
            ("backup", "succeeded", 100),
            ("backup", "partial", 300),
            ("backup", "failed", 500),
            ("check", "succeeded", 900),
        )
    ):
        db.execute(
            "INSERT INTO jobs (id, host_id, kind, subject, status, finished_at, sort_at)"
            " VALUES (?, 'H', ?, '', ?, ?, 0)",
            (str(number), kind, status, ended),
        )
    for statement in statements((resources.path("schema") / "0017_lists.sql").read_text()):
        db.execute(statement)
    found = {row["id"]: row["growth_bytes"] for row in db.execute("SELECT id, growth_bytes FROM repositories")}
    for name, sizes in HISTORIES.items():
        known = [Size(NOON + day * DAY, held) for day, held in dict(sizes).items()]
        assert found[name] == growth_a_month(known), name
    assert tuple(db.execute("SELECT last_backup_at, last_good_backup_at FROM hosts").fetchone()) == (500, 300)
    db.close()
