#!/bin/bash
# pgpool2 4.3.5 (Debian bookworm, 4.3.5-1+deb12u1; 4.6.1 of trixie does the same) with its query cache on
# (memory_cache_enabled): a transaction reads a row, another session changes the row and commits, then the first one
# commits. With its COMMIT pgpool puts the answer from before the change into the cache, and from then on everybody who
# asks it in the same words gets it: new sessions, too, until the table is changed once more through pgpool. An ordinary
# BEGIN (READ COMMITTED) that only reads is enough. Who leads, by a row of a table, is then told wrongly to all.
#
# Expected: the new value. Its documentation says that entries of a table are deleted when it is updated, and that an
# entry stays valid until then; and that what a transaction reads is entered at its commit, not that it may be old.
# Exit code: 0 as seen, 1 where the new value comes (as expected), 2 where the packages could not be had.
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
unpack bookworm pgpool2=4.3.5-1+deb12u1 libpgpool2 libmemcached11 libhashkit2 libpam0g postgresql-15 postgresql-client-15 libpq5 \
    libicu72 libldap-2.5-0 libsasl2-2 libxml2 libxslt1.1 libllvm14 libreadline8

as_nobody=()
[ "$(id -u)" != 0 ] || as_nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
mkdir -m 777 data run
programs=$folder/bookworm/unpacked/usr/lib/postgresql/15/bin
LD_LIBRARY_PATH=$(dirname "$(find "$folder/bookworm/unpacked" -name libpq.so.5)"):$(dirname "$(find "$folder/bookworm/unpacked" -name 'libreadline.so.8')")
export LD_LIBRARY_PATH
read -r port pooled other < <(python3 -c 'import socket; s = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]; print(*(a.getsockname()[1] for a in s))')
"${as_nobody[@]}" "$programs/initdb" -D data/pg -U rm -A trust --no-sync > log 2>&1 || { cat log; exit 2; }
"${as_nobody[@]}" "$programs/postgres" -D data/pg -p "$port" -k "$folder/run" -c jit=off >> log 2>&1 &
started=($!)
trap 'kill "${started[@]}" 2> /dev/null || true; wait; rm -rf "$folder"' EXIT
cat > pgpool.conf <<CONF
backend_hostname0 = '127.0.0.1'
backend_port0 = $port
backend_flag0 = 'ALWAYS_PRIMARY'
sr_check_period = 0
listen_addresses = '127.0.0.1'
port = $pooled
pcp_listen_addresses = '127.0.0.1'
pcp_port = $other
socket_dir = '$folder/run'
pcp_socket_dir = '$folder/run'
pid_file_name = '$folder/run/pgpool.pid'
logdir = '$folder/run'
work_dir = '$folder/run'
num_init_children = 4
memory_cache_enabled = on
memqcache_oiddir = '$folder/run'
CONF
touch pcp.conf pool_hba.conf pool_passwd
chmod 644 pgpool.conf pcp.conf pool_hba.conf pool_passwd

# sql PORT [SQL]: its answer; without SQL, what standard input has
sql() { "$programs/psql" -X -q -A -t -v ON_ERROR_STOP=1 "postgresql://rm@127.0.0.1:$1/postgres" ${2:+-c "$2"}; }
ready() { for _ in $(seq 100); do sql "$1" 'SELECT 1' > /dev/null 2>&1 && return; sleep 0.2; done; cat log; exit 2; }
ready "$port"
sql "$port" "CREATE TABLE leader (name text PRIMARY KEY, node text); INSERT INTO leader VALUES ('server', 'one')"
"${as_nobody[@]}" bookworm/unpacked/usr/sbin/pgpool -n -f pgpool.conf -F pcp.conf -a pool_hba.conf >> log 2>&1 &
started+=($!)
ready "$pooled"

question="SELECT node FROM leader WHERE name = 'server';"
# the reader's transaction; in its midst the other session, a program of its own
change="$programs/psql -X -q postgresql://rm@127.0.0.1:$pooled/postgres -f $folder/change.sql"
echo "UPDATE leader SET node = 'two' WHERE name = 'server'" > change.sql
sql "$pooled" > reader <<SQL
BEGIN;
$question
\! $change
COMMIT;
SQL
sleep 1
after=$(sql "$pooled" "$question")
sleep 2
later=$(sql "$pooled" "$question")
true=$(sql "$port" "$question")
echo "read in the transaction: $(cat reader); then, through pgpool: $after, 2 s later: $later; in PostgreSQL: $true"
[ "$true" = two ] || exit 2
[ "$after $later" = "one one" ] || exit 1
