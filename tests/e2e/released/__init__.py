"""Databases as released versions left them: one `NNNN.sql` (rows) and `NNNN.json` (what opens it) for each schema.

    python -m tests.e2e.released        # when a version with a new schema is released: writes its files

They are never edited: what a later version must be able to take over is in them.
"""
