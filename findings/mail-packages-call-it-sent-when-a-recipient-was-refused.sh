#!/bin/bash
# notifiers 2.0.0, redmail 0.6.0 and mailers 3.4.0 (PyPI): a mail to two people of whom the server refuses one (550) is a success
# to them, and nothing tells of the other: notifiers says status "Success", errors None, ok True; redmail returns the mail;
# mailers returns nothing and raises nothing. smtplib and aiosmtplib below them do say it, they throw that away. So a
# mistyped or closed address among those who are to hear of failed backups is never noticed. Where all are refused, they tell.
#
# Expected: the refused one among the errors of notifiers, which by its documentation `errors` is a list of; an exception or a
# returned value from the others, as mailers has DeliveryError for mails that could not be delivered. yagmail 0.16.0 returns it.
# Exit code: 0 as seen, 1 where one of the three tells, 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install -q --disable-pip-version-check notifiers==2.0.0 redmail==0.6.0 mailers==3.4.0 yagmail==0.16.0 \
    aiosmtplib==5.1.3 anyio==4.16.0 aiosmtpd==1.4.6; } || exit 2
env/bin/python -W ignore - <<'PYTHON'
import asyncio
import logging
import socket

import mailers
import notifiers
import redmail
import yagmail
from aiosmtpd.controller import Controller

KNOWN, GONE, SENDER = "ops@example.org", "gone@example.org", "nas@example.org"
SUBJECT, TEXT = "backup failed", "disk full"
taken = []


class Server:
    """Knows one of the two."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == GONE:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        taken.extend(envelope.rcpt_tos)
        return "250 OK"


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]


def by_notifiers(to):
    answer = notifiers.get_notifier("email").notify(
        to=to, subject=SUBJECT, message=TEXT, host="127.0.0.1", port=port, tls=False, ssl=False, login=False, **{"from": SENDER}
    )
    return answer.status, answer.errors, answer.ok


def by_redmail(to):
    sender = redmail.EmailSender(host="127.0.0.1", port=port, use_starttls=False)
    return type(sender.send(subject=SUBJECT, sender=SENDER, receivers=to, text=TEXT)).__name__


def by_mailers(to):
    mailer = mailers.Mailer(f"smtp://127.0.0.1:{port}")
    return asyncio.run(mailer.send_message(to=to, subject=SUBJECT, text=TEXT, from_address=SENDER))


def by_yagmail(to):
    sender = yagmail.SMTP(SENDER, "x", "127.0.0.1", port, smtp_skip_login=True, smtp_ssl=False, smtp_starttls=False)
    return sender.send(to, SUBJECT, TEXT)


said = {}
logs = []
handler = logging.Handler(logging.WARNING)
handler.emit = logs.append
logging.getLogger().addHandler(handler)
controller = Controller(Server(), hostname="127.0.0.1", port=port)
controller.start()
for send in (by_notifiers, by_redmail, by_mailers, by_yagmail):
    for to in ([KNOWN, GONE], [GONE]):
        taken.clear(), logs.clear()
        try:
            answer = send(to)
        except Exception as error:
            answer = f"raises {type(error).__name__}"
        said[send, len(to)] = answer, list(taken), [record for record in logs if record.name.split(".")[0] != "mail"]
        print(f"{send.__name__} to {' and '.join(to)}: arrives for {taken}, says {answer}")
controller.stop()
if said[by_notifiers, 1][0][2] or any("raises" not in said[send, 1][0] for send in (by_redmail, by_mailers, by_yagmail)):
    raise SystemExit(2)
silent = [said[send, 2] for send in (by_notifiers, by_redmail, by_mailers)]
as_seen = silent == [(answer, [KNOWN], []) for answer in (("Success", None, True), "EmailMessage", None)]
raise SystemExit(0 if as_seen else 1)
PYTHON
