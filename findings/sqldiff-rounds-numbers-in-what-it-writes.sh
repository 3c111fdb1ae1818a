#!/bin/bash
# sqldiff of SQLite 3.40.1 (Debian bookworm, sqlite3-tools 3.40.1-2+deb12u2; trixie's 3.46.1 and sid's 3.53.4 write the
# same): it compares REAL values exactly, but writes them with 15 digits. A time in seconds with microseconds, as
# Python's time.time() gives it, has 16. So the SQL that it prints makes of the first database one that is not the
# second; run again on the two, it prints the same lines again. Its exit code is 0, nothing is said.
#
# Expected: its manual says that the output is SQL that turns the first database into the second. SQLite's own .dump
# and quote() write as many digits as it takes.
# Exit code: 0 as seen, 1 where the two are equal afterwards (as expected), 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v -e security -e snapshot | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror is known here: apt-get update"; exit 2; }

# unpack SUITE PACKAGE…: packages of that suite into a folder of its name, not installed, with lists of apt's own
unpack() {
    suite=$1
    shift
    mkdir -p "$suite/lists/partial" "$suite/cache/archives/partial"
    : > "$suite/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$suite/sources.list"
    apt=(apt-get -qq -o "Dir::Etc::sourcelist=$folder/$suite/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::Lists=$folder/$suite/lists" -o "Dir::State::status=$folder/$suite/status"
        -o "Dir::Cache=$folder/$suite/cache" -o APT::Sandbox::User= -o Acquire::Languages=none)
    (cd "$suite" && "${apt[@]}" update && "${apt[@]}" download "$@") || exit 2
    for package in "$suite"/*.deb; do dpkg-deb -x "$package" "$suite/unpacked"; done
}
unpack bookworm sqlite3-tools=3.40.1-2+deb12u2 libsqlite3-0=3.40.1-2+deb12u2
sqldiff=$folder/bookworm/unpacked/usr/bin/sqldiff
LD_LIBRARY_PATH=$(dirname "$(find "$folder/bookworm/unpacked" -name libsqlite3.so.0)")
export LD_LIBRARY_PATH

# with_sqlite DATABASE: runs the SQL of standard input, prints the rows of the table
with_sqlite() {
    python3 -c 'import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.executescript(sys.stdin.read()); print(d.execute("SELECT * FROM run").fetchall())' "$1"
}
echo "CREATE TABLE run (id INTEGER PRIMARY KEY, ended_at REAL); INSERT INTO run VALUES (1, 1790000000.25);" | with_sqlite old.db > first
cp old.db new.db
echo "UPDATE run SET ended_at = 1790000123.456789; INSERT INTO run VALUES (2, 1790000456.987654);" | with_sqlite new.db > wanted
"$sqldiff" old.db new.db > difference.sql
cat difference.sql
with_sqlite old.db < difference.sql > got
"$sqldiff" old.db new.db > again.sql
echo "wanted $(cat wanted)"
echo "got    $(cat got)"
echo "the second run of sqldiff has $(wc -l < again.sql) lines to change"
grep -q 1790000123.456789 wanted || exit 2
! cmp -s wanted got || exit 1
[ -s again.sql ] || exit 1
