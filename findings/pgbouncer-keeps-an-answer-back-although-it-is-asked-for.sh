#!/bin/bash
# pgbouncer 1.24.1 (Debian trixie, 1.24.1-1+deb13u2; 1.26.1 of sid does the same), pool_mode=transaction, prepared statements on,
# as they are by default: a client that prepares a statement which the connection to the server has already, and asks for
# the answer with Flush, as libpq's pipeline mode does (PQsendFlushRequest), gets none. It comes with the next Sync. The
# first client that prepares it gets its answer, so it works until there is a second one.
#
# Expected: what PostgreSQL itself does, and pgbouncer in session mode: Flush brings all answers that there are.
# Exit code: 0 as seen, 1 where the answer comes, 2 where the packages could not be had.
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
unpack trixie pgbouncer=1.24.1-1+deb13u2 libc6 libcares2 libevent-2.1-7t64 libssl3t64 libpam0g libsystemd0 libaudit1 libcap-ng0 \
    libcap2 libldap2 libsasl2-2 liblzma5 libzstd1 liblz4-1 libgcrypt20 zlib1g
python3 -m venv venv && venv/bin/pip install -q --disable-pip-version-check 'psycopg[binary]==3.3.9' || exit 2

as_nobody=()
[ "$(id -u)" != 0 ] || as_nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
mkdir -m 777 data sockets
programs=$folder/bookworm/unpacked/usr/lib/postgresql/15/bin
libraries=$(dirname "$(find "$folder/bookworm/unpacked" -name 'libpq.so.5')")
"${as_nobody[@]}" env "LD_LIBRARY_PATH=$libraries" "$programs/initdb" -D data/pg -U rm -A trust --no-sync > log 2>&1 || { cat log; exit 2; }
read -r port pooled < <(python3 -c 'import socket; a, b = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0)); print(a.getsockname()[1], b.getsockname()[1])')
"${as_nobody[@]}" env "LD_LIBRARY_PATH=$libraries" "$programs/postgres" -D data/pg -p "$port" -k "$folder/sockets" -c jit=off >> log 2>&1 &
database=$!
trap 'kill $database $pooler 2> /dev/null || true; wait; rm -rf "$folder"' EXIT
pooler=
cat > pgbouncer.ini <<INI
[databases]
postgres = host=127.0.0.1 port=$port user=rm
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $pooled
auth_type = any
pool_mode = transaction
unix_socket_dir =
INI
of_trixie=$(dirname "$(find "$folder/trixie/unpacked" -name 'ld-linux-x86-64.so.2' | head -n 1)")
"${as_nobody[@]}" "$of_trixie/ld-linux-x86-64.so.2" --library-path "$of_trixie:$folder/trixie/unpacked/usr/lib/x86_64-linux-gnu" \
    trixie/unpacked/usr/sbin/pgbouncer pgbouncer.ini >> log 2>&1 &
pooler=$!

venv/bin/python - "$port" "$pooled" <<'PYTHON'
import select
import sys
import time

import psycopg
from psycopg import pq

SECONDS = 3.0


def connected(port):
    for _ in range(100):
        try:
            return psycopg.connect(f"postgresql://rm@127.0.0.1:{port}/postgres", autocommit=True)
        except psycopg.OperationalError:
            time.sleep(0.1)
    sys.exit(2)


def answers(client):
    """What comes within some seconds, up to the answer to Sync."""
    found, end = [], time.monotonic() + SECONDS
    while pq.ExecStatus.PIPELINE_SYNC not in found:
        if not client.is_busy():
            result = client.get_result()
            if result is not None:
                found.append(pq.ExecStatus(result.status))
                continue
        more = client.flush()
        left = end - time.monotonic()
        if left <= 0 or not select.select([client.socket], [client.socket] if more else [], [], left)[0]:
            return found
        client.consume_input()
    return found


def prepares(port):
    """How many answers to a preparation Flush has brought, and Sync after it."""
    connection = connected(port)
    client = connection.pgconn
    client.nonblocking = 1
    client.enter_pipeline_mode()
    client.send_prepare(b"one", b"select 1")
    client.send_flush_request()
    by_flush = answers(client)
    client.pipeline_sync()
    by_sync = answers(client)
    connection.close()
    return by_flush.count(pq.ExecStatus.COMMAND_OK), by_sync.count(pq.ExecStatus.COMMAND_OK)


direct, pooled = (int(each) for each in sys.argv[1:])
connected(pooled).close()
seen = {"PostgreSQL": [prepares(direct) for _ in range(2)], "pgbouncer": [prepares(pooled) for _ in range(2)]}
print("answers at Flush, and at Sync after it, of two clients, one after the other:", seen)
if seen["PostgreSQL"] != [(1, 0)] * 2 or seen["pgbouncer"][0] != (1, 0):
    sys.exit(2)
sys.exit(seen["pgbouncer"][1] != (0, 1))
PYTHON
