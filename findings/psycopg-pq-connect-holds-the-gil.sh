#!/bin/sh
# psycopg 3.3.9: `psycopg.pq.PGconn.connect` keeps Python's global lock until the server has answered or the timeout is
# over: no other thread of the process runs meanwhile, no event loop turns. `psycopg.Connection.connect` lets them run. The
# low-level one is what programs take that speak libpq's pipeline themselves. Expected: both release the lock while they
# wait for the network, as calls that block do. The server here takes the connection and says nothing, as one does whose
# machine is frozen. Exits non-zero once both let others run.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'psycopg[binary]==3.3.9'
"$folder/venv/bin/python" - <<'PYTHON'
import socket
import threading
import time

import psycopg
from psycopg import pq

silent = socket.create_server(("127.0.0.1", 0))
where = f"host=127.0.0.1 port={silent.getsockname()[1]} user=x dbname=x"
conninfo = f"{where} connect_timeout=3 sslmode=disable gssencmode=disable"


def low_level():
    pq.PGconn.connect(conninfo.encode())


def high_level():
    try:
        psycopg.Connection.connect(conninfo)
    except psycopg.OperationalError:
        pass


def turns_of_another_thread(connect):
    """How often a thread that sleeps a hundredth of a second at a time comes to its turn."""
    over, turns = threading.Event(), 0

    def count():
        nonlocal turns
        while not over.wait(0.01):
            turns += 1

    other = threading.Thread(target=count)
    other.start()
    began = time.monotonic()
    connect()
    took = time.monotonic() - began
    over.set()
    other.join()
    return took, turns


low, high = turns_of_another_thread(low_level), turns_of_another_thread(high_level)
print("psycopg", psycopg.__version__, "libpq", pq.version(), "implementation", pq.__impl__)
for name, (took, turns) in (("psycopg.pq.PGconn.connect", low), ("psycopg.Connection.connect", high)):
    print(f"  {name}: {took:.1f} s, another thread had {turns} turns")
raise SystemExit(0 if low[1] < 20 < high[1] else 1)
PYTHON
