"""The actors. In a folder, `actor` and `supervisor` touch the world; the rest is pure."""
