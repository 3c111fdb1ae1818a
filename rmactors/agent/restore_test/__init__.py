"""Restore tests: a random sample of a plan's newest snapshot is restored, compared and removed.

sampling    which files, so that large and small, old and new ones take part
listed      what restic lists of a snapshot, entry by entry
folder      the private folders that they land in, gone whatever happens
comparing   a restored file against its source, which may change at any time
troubles    which files restic could not restore, by what it said
job         one test, from the list of snapshots to its verdict
"""
