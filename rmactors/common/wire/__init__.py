"""The agents' protocol, version 1: every frame as a typed value, and text in, value or reason out. Pure.

    basics       numbers of the protocol, and what frames of both directions are made of
    from_agent   the frames that an agent sends
    from_server  the frames that the server sends
    encoding     JSON text to frames and back

Used by both ends, as `wire.Hello` and `wire.encode`. No socket in here: the gateway and the agent's connection move
the text. `docs/protocol.md` says what each frame means.
"""

from rmactors.common.wire.basics import *  # noqa: F403 - a new frame is named once, where it stands
from rmactors.common.wire.encoding import *  # noqa: F403
from rmactors.common.wire.from_agent import *  # noqa: F403
from rmactors.common.wire.from_server import *  # noqa: F403
