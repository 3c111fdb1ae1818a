"""Nodes that share one PostgreSQL: one leads, the others wait for its lease."""
