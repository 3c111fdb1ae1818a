"""A notification of a user's own browser, by its maker's push service (RFC 8030)."""
