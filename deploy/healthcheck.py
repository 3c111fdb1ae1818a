"""Whether the server in this container is well: exit code 0 or 1, and what `/healthz` says. Needs Python alone.

A node that waits for the lease is well, unless it says why it could not lead.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request


def main() -> int:
    host, _, port = os.environ.get("RM_LISTEN", "127.0.0.1:8080").rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - nothing is bound
    scheme = "https" if os.environ.get("RM_TLS_CERT_FILE") else "http"
    # It asks itself: the certificate is for another name, and nobody is in between.
    mine = ssl._create_unverified_context()  # noqa: S323
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=mine))
    try:
        with opener.open(f"{scheme}://{host}:{port}/healthz", timeout=8) as answer:
            print(answer.read().decode())
            return 0
    except urllib.error.HTTPError as error:
        said = error.read().decode()
        print(said)
        return 0 if waits(said) else 1
    except OSError as error:
        print(error)
    return 1


def waits(said: str) -> bool:
    try:
        found = json.loads(said)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("status") == "standby" and "detail" not in found


if __name__ == "__main__":
    sys.exit(main())
