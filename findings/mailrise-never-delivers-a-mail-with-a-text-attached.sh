#!/bin/bash
# mailrise 1.4.0 (PyPI): a mail with a text file attached (a log, a report in HTML, a CSV) is never passed on: it answers
# "450 failed to send notification" each time, so that the sender's server tries again until it gives up, and nothing is
# sent. The same log as a .gz arrives, and so does the mail without it. Its own log names no reason; its open issues 104
# (where the size is suspected) and 165 tell of such files. This one has 33 bytes.
#
# Expected: one notification with one attachment: its README says that attachments are passed on where the service takes
# them. json:// does.
# Exit code: 0 as seen, 1 where it arrives, 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install -q --disable-pip-version-check mailrise==1.4.0; } || exit 2
env/bin/python - <<'PYTHON'
import json
import smtplib
import socket
import subprocess
import threading
import time
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer

seen = []


class Sink(BaseHTTPRequestHandler):
    """What Apprise sends to: takes everything."""

    def do_POST(self):
        seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


sink = HTTPServer(("127.0.0.1", 0), Sink)
threading.Thread(target=sink.serve_forever, daemon=True).start()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
with open("mailrise.yaml", "w") as file:
    print("listen: {host: 127.0.0.1, port: %d}" % port, file=file)
    print("configs: {backup: {urls: ['json://127.0.0.1:%d']}}" % sink.server_port, file=file)
mailrise = subprocess.Popen(["env/bin/mailrise", "mailrise.yaml"], stderr=subprocess.STDOUT, stdout=open("log", "w"))


def send(what, *attachment, **kind):
    """Mails one message, and says what came of it: the answer's code, and how many attachments each notification had."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "nas@example.test", "backup@mailrise.xyz", "backup failed"
    mail.set_content("The log is attached.\n")
    if attachment:
        mail.add_attachment(*attachment, **kind)
    seen.clear()
    try:
        smtplib.SMTP("127.0.0.1", port).send_message(mail)
        code = 250
    except smtplib.SMTPDataError as error:
        code = error.smtp_code
    notified = [len(post["attachments"]) for post in seen]
    print(f"{what}: {code}, {len(notified)} notifications, attachments in each: {notified}")
    return code, notified


try:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    plain = send("no attachment")
    packed = send("backup.log.gz", b"\x1f\x8b\x08", maintype="application", subtype="gzip", filename="backup.log.gz")
    text = send("backup.log", "Fatal: unable to open repository\n", filename="backup.log")
finally:
    mailrise.terminate()
    mailrise.wait()
print(*open("log"), sep="", end="")
if (plain, packed) != ((250, [0]), (250, [1])):
    raise SystemExit(2)
raise SystemExit(0 if text == (450, []) else 1)
PYTHON
