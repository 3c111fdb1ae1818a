#!/bin/bash
# pgloader 3.6.9 (Debian bookworm, 3.6.9-1; 3.6.10-4 of trixie does the same), SQLite to PostgreSQL: a unique index with a
# condition, CREATE UNIQUE INDEX … WHERE …, arrives without its condition, as a unique index over all rows. Where the
# rows of today happen to pass, nothing is said: no error in the summary, exit code 0. From then on PostgreSQL refuses
# rows that SQLite took: "one open alert for each job" has become "one alert for each job". (Where they do not pass, the
# index is missing, with an error in the log, and the exit code is 0 as well.)
#
# Expected: the condition comes along, or the index is left out and named. Its documentation says that it takes the
# definitions of all indexes from SQLite and makes the same set in PostgreSQL, which has partial indexes, too.
# Exit code: 0 as seen, 1 where the row is taken (as expected), 2 where the packages could not be had.
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
unpack bookworm pgloader=3.6.9-1 libssl3 libsqlite3-0 libzstd1 postgresql-15 postgresql-client-15 libpq5 libicu72 libldap-2.5-0 \
    libsasl2-2 libxml2 libxslt1.1 libllvm14 libreadline8

as_nobody=()
[ "$(id -u)" != 0 ] || as_nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
mkdir -m 777 data run
programs=$folder/bookworm/unpacked/usr/lib/postgresql/15/bin
LD_LIBRARY_PATH=$(dirname "$(find "$folder/bookworm/unpacked" -name libpq.so.5)"):$(dirname "$(find "$folder/bookworm/unpacked" -name 'libreadline.so.8')")
port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
export LD_LIBRARY_PATH
"${as_nobody[@]}" "$programs/initdb" -D data/pg -U rm -A trust --no-sync > log 2>&1 || { cat log; exit 2; }
"${as_nobody[@]}" "$programs/postgres" -D data/pg -p "$port" -k "$folder/run" -c jit=off >> log 2>&1 &
database=$!
trap 'kill $database 2> /dev/null || true; wait; rm -rf "$folder"' EXIT
sql() { "$programs/psql" -X -q -A -t "postgresql://rm@127.0.0.1:$port/postgres" -c "$1"; }
for _ in $(seq 100); do sql 'SELECT 1' > /dev/null 2>&1 && break; sleep 0.2; done

cat > old.sql <<'SQL'
CREATE TABLE alerts (id INTEGER PRIMARY KEY, job INTEGER NOT NULL, closed_at INTEGER);
CREATE UNIQUE INDEX one_open ON alerts (job) WHERE closed_at IS NULL;
INSERT INTO alerts VALUES (1, 7, 1790000200), (2, 8, NULL);
SQL
next="INSERT INTO alerts (id, job, closed_at) VALUES (3, 7, NULL)"
python3 -c 'import sqlite3; sqlite3.connect("old.db").executescript(open("old.sql").read())'
bookworm/unpacked/usr/bin/pgloader --root-dir run "sqlite://$folder/old.db" "pgsql://rm@127.0.0.1:$port/postgres" > summary && code=0 || code=$?
grep -E '^ +(alerts|Create Indexes|Total)' summary
echo "exit code of pgloader: $code; rows in PostgreSQL: $(sql 'SELECT count(*) FROM alerts')"
sql "SELECT indexdef FROM pg_indexes WHERE tablename = 'alerts' AND indexdef LIKE '%(job)%'" | tee index
[ "$code" = 0 ] && [ "$(sql 'SELECT count(*) FROM alerts')" = 2 ] || exit 2
python3 -c 'import sqlite3, sys; sqlite3.connect("old.db").execute(sys.argv[1])' "$next" && echo "SQLite takes a new open alert of the job that has a closed one"
if sql "$next" 2> refusal; then exit 1; fi
echo "PostgreSQL: $(head -n 1 refusal)"
grep -q 'unique constraint' refusal && ! grep -q WHERE index || exit 1
