#!/bin/sh
# py-vapid 1.9.6 judges the contact of a push message's signature (claim `sub`) by a pattern that is anchored for https
# addresses alone, and there has no place for a port or a path: "https://rm.example.org:8443" is "Missing 'sub' from
# claims. 'sub' is your admin email as a mailto: link.", although it is there and RFC 8292 asks for any https: URI. So a
# server that is not at port 443 cannot name its own address.
# Exits non-zero once it takes such a contact.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check py-vapid==1.9.6
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from py_vapid import Vapid02, VapidException

print("py-vapid", version("py-vapid"))
vapid = Vapid02()
vapid.generate_keys()


def answer(contact):
    """`signed`, or what it says instead."""
    try:
        vapid.sign({"aud": "https://push.example.org", "exp": 2_000_000_000, "sub": contact})
    except VapidException as error:
        return str(error)
    return "signed"


found = {}
for contact in (
    "https://rm.example.org",
    "https://rm.example.org:8443",
    "https://rm.example.org/contact",
    "mailto:ops@example.org",
):
    found[contact] = answer(contact)
    print(f"{contact:34} {found[contact]}")
refused = ("https://rm.example.org:8443", "https://rm.example.org/contact")
as_seen = all((said != "signed") == (contact in refused) for contact, said in found.items())
missing = all(found[contact].startswith("Missing 'sub'") for contact in refused)
raise SystemExit(0 if as_seen and missing else 1)
PYTHON
