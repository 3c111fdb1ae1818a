"""Ports for programs that are told theirs."""

import random
import socket
from collections import deque
from typing import Final

_PORTS: Final = range(20_000, 32_000)  # beside those that the system gives to outgoing connections
_KEPT: Final = 200

_choose = random.SystemRandom()  # the other one is seeded alike in every process by some plugins
_claims: deque[socket.socket] = deque()


def free_port() -> int:
    """A port of loopback that nothing listens on, and that no other process of the tests is given meanwhile.

    Others see the claim by a name, which belongs to the network as ports do: tests in another root folder see it too.
    A process keeps its last two hundred claims, so that a server may be ended and started again on its port.
    """
    for port in _choose.sample(_PORTS, 300):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0restic-manager-tests/port/{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        if len(_claims) > _KEPT:
            _claims.popleft().close()
        return port
    raise AssertionError("no free port")
