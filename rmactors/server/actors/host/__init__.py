"""One host: its connections, its jobs, their reports until they are on disk."""
