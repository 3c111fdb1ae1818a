"""The two engines: SQLite, which needs nothing, and PostgreSQL, which several nodes can share.

The SQL of the store is written once, in what both understand. What differs is in this package alone: how a connection
is opened, how a batch of commits becomes one transaction, and the few words that `postgres_sql` changes.
"""
