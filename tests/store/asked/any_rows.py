"""Rows for every table, drawn by lot from few values: many are equal, many are NULL, names are of any script.

What the schema refuses is left out. The same seed gives the same rows.
"""

import sqlite3
from collections.abc import Mapping
from random import Random
from typing import Any

from rmactors.server.store.database import Database
from tests.store.asked.tables import TABLES


def fill(db: Database, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Rows that SQLite took, by table, in the order in which it took them."""
    lot, taken = Random(seed), dict[str, list[dict[str, Any]]]()
    for table in TABLES:
        columns = {row[1]: (row[2], bool(row[3])) for row in db.execute(f"PRAGMA table_info({table.table})")}
        makers = table.makers(columns)
        rows = [{name: make(lot, number) for name, make in makers.items()} for number in range(table.many)]
        for row in rows:
            if table.mend is not None:
                table.mend(row, lot)
        if table.table == "care_ends":  # of equally new ones SQLite takes the one that was written first
            rows.sort(key=lambda row: (row["host_id"], row["kind"], row["plan"], row["repository"]))
        taken[table.table] = [row for row in rows if _is_taken(db, table.table, row)]
    return taken


def _is_taken(db: Database, table: str, row: Mapping[str, Any]) -> bool:
    try:
        insert(db, table, row)
    except sqlite3.IntegrityError:
        return False
    return True


def insert(db: Database, table: str, row: Mapping[str, Any]) -> None:
    marks = ", ".join("?" for _ in row)
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
