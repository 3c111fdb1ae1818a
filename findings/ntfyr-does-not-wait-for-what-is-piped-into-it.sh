#!/bin/bash
# ntfyr 0.4.0 (PyPI) sends what it reads from its input, but only looks once, as it starts, whether something is there. Of
# `restic check 2>&1 | ntfyr -t backups` nothing is sent: the command needs longer than ntfyr to start. An empty message goes
# out in its place, which ntfy shows as "triggered", and the exit code is 0. What is there at once, as of `echo`, arrives.
# And `priority` and `tags` of its configuration file are never used: those that the options have by default win.
#
# Expected: the command's output, for its help says that without a message it reads from stdin; and a priority of `max`,
# since its README says that any long option can be given a default in the file.
# Exit code: 0 as seen, 1 where it does, 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install -q --disable-pip-version-check ntfyr==0.4.0 requests==2.34.2 tzlocal==5.4.5; } || exit 2
env/bin/python - <<'PYTHON'
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

seen = []


class Ntfy(BaseHTTPRequestHandler):
    """Takes every message, as ntfy does."""

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        seen.append((text, self.headers["Title"], self.headers["Priority"], self.headers["Tags"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"id": "x"}')

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Ntfy)
threading.Thread(target=server.serve_forever, daemon=True).start()
with open("config.ini", "w") as file:
    print(f"[ntfyr]\nserver = http://127.0.0.1:{server.server_port}\ntitle = nas\npriority = max\ntags = warning", file=file)


def sent(command, *options):
    """What arrives of a command's output that is piped into ntfyr."""
    seen.clear()
    ntfyr = ["env/bin/ntfyr", "-c", "config.ini", "-t", "backups", *options]
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as source:
        code = subprocess.run(ntfyr, stdin=source.stdout).returncode
        source.stdout.close()
    print(f"{command} | ntfyr {' '.join(options)}: exit code {code}, (message, title, priority, tags): {seen}")
    return code, list(seen)


atonce = sent("echo 'Fatal: pack is missing'", "-P", "max", "-G", "warning")
later = sent("sleep 8; echo 'Fatal: pack is missing'", "-P", "max", "-G", "warning")
fromfile = sent("echo 'Fatal: pack is missing'")
if atonce != (0, [("Fatal: pack is missing\n", "nas", "max", "warning")]):
    raise SystemExit(2)
as_seen = later == (0, [("", "nas", "max", "warning")]) and fromfile == (0, [("Fatal: pack is missing\n", "nas", "default", None)])
raise SystemExit(0 if as_seen else 1)
PYTHON
