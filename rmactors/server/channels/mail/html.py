"""The HTML part of a mail: the message, the facts as a table, the link as a button. Pure.

It loads nothing and names no colors but those that are readable on a light and on a dark page: the rest is the mail
client's. Words of hosts are in all of it: they are escaped here.
"""

from html import escape
from typing import Final

from rmactors import PRODUCT
from rmactors.common.text import lines
from rmactors.common.vocabulary import Severity
from rmactors.server.channels import telling
from rmactors.server.channels.request import one_line
from rmactors.server.messages.notifications import Notification

ACT: Final = "Acknowledge or silence without signing in"
_COLORS: Final[dict[Severity, str]] = {"info": "#3b82f6", "warning": "#d97706", "critical": "#dc2626"}
_BUTTON: Final = (
    "display:inline-block;padding:8px 16px;border-radius:4px;background:#1d4ed8;color:#ffffff;text-decoration:none"
)
_CELL: Final = "padding:2px 16px 2px 0;text-align:left;vertical-align:top;overflow-wrap:anywhere"


def html(notification: Notification) -> str:
    """A whole page, small, without anything from elsewhere."""
    message = "<br>\n".join(escape(line) for line in lines(notification.message).split("\n"))
    rows = "\n".join(
        f'<tr><th style="{_CELL};white-space:nowrap">{name}</th><td style="{_CELL}">{escape(one_line(value))}</td></tr>'
        for name, value in telling.facts(notification)
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{escape(telling.title(notification))}</title>
<style>:root {{ color-scheme: light dark; }}</style>
</head>
<body style="margin:0;padding:16px;font-family:sans-serif;font-size:15px;line-height:1.5">
<div style="max-width:640px">
<p style="margin:0 0 16px;padding:4px 12px;overflow-wrap:anywhere;border-left:4px solid {_color(notification)}">
{message}
</p>
<table style="border-collapse:collapse;margin:0 0 16px;font-size:14px">
{rows}
</table>
{_links(notification)}
</div>
</body>
</html>
"""


def _color(notification: Notification) -> str:
    """Green for what is over."""
    return "#16a34a" if notification.event == "alert.resolved" else _COLORS[notification.severity]


def _links(notification: Notification) -> str:
    found = []
    if notification.link:
        found.append(f'<p style="margin:0 0 12px"><a href="{escape(notification.link)}" style="{_BUTTON}">'
                     f"Open in {PRODUCT}</a></p>")  # fmt: skip
    if notification.act_link:
        found.append(f'<p style="margin:0 0 12px"><a href="{escape(notification.act_link)}">{ACT}</a></p>')
    return "\n".join(found)
