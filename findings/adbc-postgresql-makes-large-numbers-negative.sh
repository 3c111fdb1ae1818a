#!/bin/bash
# adbc-driver-postgresql 1.13.0 (PyPI) with PostgreSQL 15: adbc_ingest of an Arrow column of type uint64 makes a BIGINT
# column of it, and numbers from 2^63 on arrive as negative ones: 18446744073709551615 as -1. No error, no warning, the
# count of rows is right. So do identifiers and checksums of 64 bits, half of which are that large.
#
# Expected: an error, as its sibling for SQLite gives for the same column ("out of range of int64_t"), and as its own
# documentation promises for times that do not fit; or NUMERIC. uint64 is not in its documentation's table of types.
# Exit code: 0 as seen, 1 where it refuses or keeps the number (as expected), 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
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
unpack bookworm postgresql-15 postgresql-client-15 libpq5 libicu72 libldap-2.5-0 libsasl2-2 libxml2 libxslt1.1 libllvm14
{ python3 -m venv venv && venv/bin/pip install -q --disable-pip-version-check adbc-driver-postgresql==1.13.0 \
    adbc-driver-sqlite==1.13.0 adbc-driver-manager==1.13.0 pyarrow==26.0.1; } || exit 2

as_nobody=()
[ "$(id -u)" != 0 ] || as_nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
mkdir -m 777 data run
programs=$folder/bookworm/unpacked/usr/lib/postgresql/15/bin
libraries=$(dirname "$(find "$folder/bookworm/unpacked" -name libpq.so.5)")
port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
"${as_nobody[@]}" env "LD_LIBRARY_PATH=$libraries" "$programs/initdb" -D data/pg -U rm -A trust --no-sync > log 2>&1 || { cat log; exit 2; }
"${as_nobody[@]}" env "LD_LIBRARY_PATH=$libraries" "$programs/postgres" -D data/pg -p "$port" -k "$folder/run" -c jit=off >> log 2>&1 &
database=$!
trap 'kill $database 2> /dev/null || true; wait; rm -rf "$folder"' EXIT

venv/bin/python - "$port" <<'PYTHON'
import sys
import time

import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi
import pyarrow

NUMBERS = [1, 2**63 - 1, 2**63, 2**64 - 1]


def connected():
    for _ in range(100):
        try:
            return adbc_driver_postgresql.dbapi.connect(f"postgresql://rm@127.0.0.1:{sys.argv[1]}/postgres")
        except adbc_driver_postgresql.dbapi.Error:
            time.sleep(0.2)
    sys.exit(2)


def through(connection):
    """What comes back of the numbers, or the error."""
    with connection, connection.cursor() as cursor:
        try:
            cursor.adbc_ingest("checksums", pyarrow.table({"sum": pyarrow.array(NUMBERS, pyarrow.uint64())}), mode="create")
            cursor.execute("SELECT sum FROM checksums")
            return [int(number) for (number,) in cursor.fetchall()]
        except adbc_driver_postgresql.dbapi.Error as error:
            return str(error)


seen = through(connected())
print("given:     ", NUMBERS)
print("PostgreSQL:", seen)
print("SQLite:    ", through(adbc_driver_sqlite.dbapi.connect()))
sys.exit(seen != [1, 2**63 - 1, -(2**63), -1])
PYTHON
