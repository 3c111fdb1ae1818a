#!/bin/sh
# Apprise 2.3.0 makes `!room:server` of every id of a Matrix room. Rooms of version 12, which Synapse makes by default,
# have ids without a server (https://spec.matrix.org/v1.16/rooms/v12/#room-ids): it joins
# a room that is not there, and nothing is sent. Expected: the room id as it was given. Exits non-zero once that is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apprise==2.3.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import unquote

import apprise

ROOM = "!ciUs_pXa0bC1dE2fG3hI4jK5lM6nO7pQ8rS9tU0vW1x"
seen = []


class Homeserver(BaseHTTPRequestHandler):
    """Has one room, answers for another one as Synapse does, and takes everything else."""

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen.append((self.command, unquote(self.path)))
        known = "/join/" not in self.path or unquote(self.path).endswith(f"/join/{ROOM}")
        said = {"user_id": "@bot:hs.test", "room_id": ROOM, "event_id": "$x"}
        body = json.dumps(said if known else {"errcode": "M_UNKNOWN", "error": "Can't join remote room"}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Homeserver)
threading.Thread(target=server.serve_forever, daemon=True).start()
sender = apprise.Apprise()
sender.add(f"matrix://syt_token@127.0.0.1:{server.server_port}/{ROOM}")
done = bool(sender.notify(title="backup failed", body="disk full"))
joins = [path.rpartition("/")[2] for _, path in seen if "/join/" in path]
print("apprise", apprise.__version__, "was given the room", ROOM)
print("  joins", joins, "· sends", [method for method, _ in seen].count("PUT"), "messages · success:", done)
raise SystemExit(0 if set(joins) == {f"{ROOM}:hs.test"} and not done else 1)
PYTHON
