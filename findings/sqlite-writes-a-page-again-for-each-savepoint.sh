#!/bin/sh
# SQLite 3.54.1 (apsw): in a transaction with a savepoint around each small group of inserts, each released and none
# rolled back, SQLite copies every page that is changed for the first time after a savepoint, and beyond 64 KB those
# copies go to a temporary file on disk, in WAL mode too. A thousand groups of four inserts write many times as many
# bytes as the same transaction without savepoints.
# Expected: about the same, since a released savepoint is only a mark, and the documentation of WAL says that a
# transaction needs no rollback journal. PRAGMA temp_store = MEMORY keeps the copies off the disk.
# Exits non-zero once savepoints that are only released write less than twice as much.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apsw==3.54.1.0
FOLDER="$folder" "$folder/venv/bin/python" - <<'PYTHON'
import os
import re
import secrets
import sys
import time
from pathlib import Path

import apsw

GROUPS = 1000


def written():
    """Bytes that this process has handed to the kernel."""
    return int(re.search(r"wchar: (\d+)", Path("/proc/self/io").read_text())[1])


def transaction(name, savepoints, temp_store):
    """(bytes written, CPU seconds) of one transaction with so many groups of inserts."""
    db = apsw.Connection(f"{os.environ['FOLDER']}/{name}.db")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA temp_store = {temp_store}")
    for table in "abcd":
        db.execute(f"CREATE TABLE {table} (id TEXT PRIMARY KEY, host TEXT, at INTEGER, said TEXT)")
        db.execute(f"CREATE INDEX {table}_by_host ON {table} (host, at)")
        db.execute(f"CREATE INDEX {table}_by_time ON {table} (at)")
    before, cpu = written(), time.process_time()
    db.execute("BEGIN IMMEDIATE")
    for number in range(GROUPS):
        if savepoints:
            db.execute("SAVEPOINT one")
        for table in "abcd":
            values = (secrets.token_hex(13), f"host-{number % 50}", number, "x" * 60)
            db.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?)", values)
        if savepoints:
            db.execute("RELEASE one")
    db.execute("COMMIT")
    found = written() - before, time.process_time() - cpu
    db.close()
    return found


print("SQLite", apsw.sqlite_lib_version(), "of apsw", apsw.apsw_version())
plain = transaction("plain", False, "DEFAULT")
saved = transaction("saved", True, "DEFAULT")
memory = transaction("memory", True, "MEMORY")
for words, (size, cpu) in (("no savepoints", plain), ("savepoints", saved), ("savepoints, temp_store MEMORY", memory)):
    print(f"{words:30} {size / 1024:10,.0f} KiB written, {cpu:.2f} s of CPU")
sys.exit(0 if saved[0] > 2 * plain[0] and memory[0] < 1.5 * plain[0] else 1)
PYTHON
