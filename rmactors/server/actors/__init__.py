"""Whoever owns state. Of a folder, `actor` and `supervisor` touch the world; the rest is pure."""
