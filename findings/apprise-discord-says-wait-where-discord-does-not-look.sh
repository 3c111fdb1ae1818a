#!/bin/sh
# Apprise 2.3.0 sends `wait: true` to a webhook of Discord in the JSON body. Discord's documentation has it as a parameter
# of the URL's query (https://discord.com/developers/docs/resources/webhook#execute-webhook), and says that without it a
# message that is not saved returns no error: by that, a lost message looks delivered to Apprise, which means to wait. The same body
# has nothing that switches mentions off: a text with @everyone is sent as it is.
# Expected: `?wait=true` behind the URL, and allowed_mentions. Exits non-zero once that is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apprise==2.3.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import apprise
from apprise.plugins.discord import NotifyDiscord

seen = []


class Sink(BaseHTTPRequestHandler):
    def do_POST(self):
        seen.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Sink)
threading.Thread(target=server.serve_forever, daemon=True).start()
NotifyDiscord.notify_url = f"http://127.0.0.1:{server.server_port}/api/webhooks"  # in place of https://discord.com
sender = apprise.Apprise()
sender.add("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js/")
done = bool(sender.notify(title="backup failed", body="@everyone: disk full"))
[(path, body)] = seen
print("apprise", apprise.__version__, "posts to", path)
print("  wait in the query:", "wait" in path, "· in the body:", body.get("wait"))
print("  content:", repr(body.get("content")), "· allowed_mentions:", body.get("allowed_mentions"), "· success:", done)
as_found = "wait" not in path and body.get("wait") is True and "allowed_mentions" not in body and "@everyone" in body["content"]
raise SystemExit(0 if as_found and done else 1)
PYTHON
