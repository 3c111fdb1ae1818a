"""Whether a database file is whole."""

import sqlite3


def damage(db: sqlite3.Connection, *, full: bool = True) -> str | None:
    """The first thing that is wrong with it: every page is read, with `full` every index compared as well."""
    try:
        (found,) = db.execute("PRAGMA integrity_check(1)" if full else "PRAGMA quick_check(1)").fetchone()
        orphan = db.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    if found != "ok":
        return str(found)
    return f"a row of {orphan[0]} belongs to one of {orphan[2]} that is not there" if orphan else None
