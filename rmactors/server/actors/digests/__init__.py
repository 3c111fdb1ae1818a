"""Digests: a summary of backups for each channel that wants one, when it wants it."""
