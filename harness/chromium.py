"""The browser that the tests and the screenshots use."""

CHROMIUM = "/usr/bin/chromium"

LAN_NAME = "nas.lan"
"""Leads the browser to this machine, which it takes for another one by that name."""

FLAGS = [
    "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-dev-shm-usage", f"--host-resolver-rules=MAP {LAN_NAME} 127.0.0.1",
]  # fmt: skip


DESKTOP = 1280

PHONE = 390
