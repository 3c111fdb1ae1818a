#!/bin/bash
# ntfy-lite 1.0.3 (PyPI): its handler for Python's logging sends a record's text before its values are put in: of
# `logger.error("backup of %s failed: %s", host, reason)` the phone shows "backup of %s failed: %s". Other handlers of the
# same logger get it right.
#
# Expected: what was logged. Its documentation says that the notification is the record's message, and by Python's that is
# what `getMessage()` returns: with the values in.
# Exit code: 0 as seen, 1 where it does, 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# its pandas is not needed to send, and big
{ python3 -m venv env && env/bin/pip install -q --disable-pip-version-check requests==2.34.2 validators==0.20.0 &&
    env/bin/pip install -q --disable-pip-version-check --no-deps ntfy-lite==1.0.3; } || exit 2
env/bin/python - <<'PYTHON'
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import ntfy_lite

seen = []


class Ntfy(BaseHTTPRequestHandler):
    """Takes every message, as ntfy does."""

    def do_PUT(self):
        seen.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Ntfy)
threading.Thread(target=server.serve_forever, daemon=True).start()
logger = logging.getLogger("backups")
logger.addHandler(ntfy_lite.NtfyHandler("backups", url=f"http://127.0.0.1:{server.server_port}"))
screen = logging.StreamHandler(sys.stdout)
screen.setFormatter(logging.Formatter("logged: %(message)s"))
logger.addHandler(screen)
logger.error("backup of %s failed: exit code %d", "nas", 3)
print(*(f"sent:   {text}" for text in seen), sep="\n")
as_seen = seen == ["backup of %s failed: exit code %d"]
raise SystemExit(0 if as_seen else 1)
PYTHON
