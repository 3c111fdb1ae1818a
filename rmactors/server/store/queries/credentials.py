"""What a token on the agents' port is worth."""

from dataclasses import dataclass

from rmactors.server.store.database import Database


@dataclass(frozen=True, slots=True)
class Credential:
    """What a bearer token is worth on the agents' port: a host's, or an enrollment's that has uses left."""

    host_id: str | None
    enrollment_id: str | None


def find_credential(connection: Database, token_hash: str, at: int) -> Credential | None:
    """None for a token that is wrong, used, expired or revoked."""
    host = connection.execute(
        "SELECT id FROM hosts WHERE token_hash = ? AND deleted_at IS NULL", (token_hash,)
    ).fetchone()
    if host is not None:
        return Credential(host["id"], None)
    token = connection.execute(
        "SELECT id FROM enrollment_tokens WHERE token_hash = ? AND used < uses AND expires_at > ?", (token_hash, at)
    ).fetchone()
    return Credential(None, token["id"]) if token is not None else None
