#!/bin/bash
# mail2beyond 1.0.3 (PyPI) takes mails by SMTP and hands them on to Slack (here) and other chats. Where the chat answers 404 (no
# such webhook), 429 or 500, the sender hears "250 Message accepted" and so does not try again; nor does mail2beyond, and its
# log says nothing of it. The mail is lost. And where two of its mappings match, the mail is handed on twice.
#
# Expected: another answer than 250, or at least an error in the log, for by its documentation an error of a connector is
# logged and passed on, and what it is for is that alerts are not overlooked. Of the mappings it says that the first that
# matches is used.
# Exit code: 0 as seen, 1 where it does, 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# without the tools for its own tests and documentation
{ python3 -m venv env && env/bin/pip install -q --disable-pip-version-check aiosmtpd==1.4.6 requests==2.31.0 PyYAML==6.0.4 \
    html2text==2024.2.26 pyOpenSSL==24.0.0 setuptools==69.1.1 &&
    env/bin/pip install -q --disable-pip-version-check --no-deps mail2beyond==1.0.3; } || exit 2
env/bin/python - <<'PYTHON'
import json
import smtplib
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

seen = []
answer = 200


class Chat(BaseHTTPRequestHandler):
    """Answers as it is told to, and keeps what it took."""

    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        seen.append(text.split("\n")[0])
        self.send_response(answer)
        self.end_headers()

    def log_message(self, *_):
        pass


def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


chat = HTTPServer(("127.0.0.1", 0), Chat)
threading.Thread(target=chat.serve_forever, daemon=True).start()
port = free()
config = {
    "listeners": [{"address": "127.0.0.1", "port": port}],
    "connectors": [
        {"name": "chat", "module": "slack", "config": {"webhook_url": f"http://127.0.0.1:{chat.server_port}/services/x"}}
    ],
    "mappings": [
        {"pattern": "nas@", "connector": "chat"},
        {"pattern": "@example.test", "connector": "chat"},
        {"pattern": "default", "connector": "chat"},
    ],
}
with open("config.json", "w") as file:
    json.dump(config, file)
log = open("log", "w")
server = subprocess.Popen(["env/bin/python", "-W", "ignore", "env/bin/mail2beyond", "-c", "config.json"], stdout=log, stderr=log)


def send(sender, code=200):
    """Mails one message; what the sender hears and how many requests reached the chat."""
    global answer
    answer = code
    seen.clear()
    before = len(open("log").read())
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
            client.sendmail(sender, ["ops@example.test"], f"From: {sender}\nSubject: backup failed\n\nThe disk is full.\n")
        heard = 250
    except smtplib.SMTPDataError as error:
        heard = error.smtp_code
    errors = sum("[ERROR]" in line for line in open("log").read()[before:].splitlines())
    print(f"mail from {sender}, the chat answers {code}: the sender hears {heard}; requests: {len(seen)}, errors logged: {errors}")
    return heard, len(seen), errors > 0


try:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    taken = send("web@example.org")
    refused = [send("web@example.org", code) for code in (404, 429, 500)]
    twice = send("nas@example.test")
finally:
    server.terminate()
    server.wait()
if taken != (250, 1, False):
    raise SystemExit(2)
raise SystemExit(0 if refused == [(250, 1, False)] * 3 and twice == (250, 2, False) else 1)
PYTHON
