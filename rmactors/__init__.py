"""restic-manager: agents, rules and deliveries that watch over restic backups."""

__version__ = "0.1.0"
PRODUCT = "restic-manager"
