#!/bin/bash
# django-ntfy 0.1.1 (PyPI), its backends that send less and less often what repeats: when the fourth of equal mails goes out as
# "Backup of nas failed (2)", the subject is cut to as many letters as " (2)" has, less one. The backend after that gets "Bac"
# for a title, and takes it for a new message. And two mails that are sent in one call are sent twice each.
#
# Expected: the same subject from both backends, as in its own test, whose subject "Sub" has three letters; its README has two
# backends next to each other, so that mailbox and topic are not flooded. And each mail of a call once.
# Exit code: 0 as seen, 1 where it does, 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install -q --disable-pip-version-check django-ntfy==0.1.1 Django==5.2.19 requests==2.34.2; } || exit 2
env/bin/python - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from django.conf import settings
from django.core import mail

titles = []


class Ntfy(BaseHTTPRequestHandler):
    """Takes every message, as ntfy does."""

    def do_POST(self):
        titles.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["title"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Ntfy)
threading.Thread(target=server.serve_forever, daemon=True).start()
settings.configure(
    EMAIL_BACKEND="django_ntfy.ExponentialRateLimitBackends",
    EMAIL_EXPONENTIAL_RATE_LIMIT_BACKENDS=["django.core.mail.backends.locmem.EmailBackend", "django_ntfy.NtfyBackend"],
    NTFY_BASE_URL=f"http://127.0.0.1:{server.server_port}/",
    NTFY_DEFAULT_TOPIC="backups",
)
mail.outbox = []
seen = []
for number in range(1, 6):
    mail.outbox.clear(), titles.clear()
    mail.send_mail("Backup of nas failed", "disk full", "nas@example.test", ["ops@example.test"])
    seen.append(([message.subject for message in mail.outbox], list(titles)))
    print(f"mail {number}: titles at ntfy {seen[-1][1]}, mails {len(mail.outbox)}")

titles.clear()
mails = [mail.EmailMessage(f"Backup of {host} failed", "disk full", "nas@example.test", ["ops@example.test"]) for host in ("web", "db")]
mail.get_connection("django_ntfy.NtfyBackendExponentialRateLimitBackend").send_messages(mails)
print("two mails in one call: titles at ntfy", titles)
once = ["Backup of nas failed"]
if [found[1] for found in seen[:3]] != [once, once, []]:
    raise SystemExit(2)
twice = sorted(["Backup of web failed", "Backup of db failed"] * 2)
raise SystemExit(0 if seen[3][1] == ["Bac"] and sorted(titles) == twice else 1)
PYTHON
