"""One host: its connections, its jobs, their reports on the way to disk."""
