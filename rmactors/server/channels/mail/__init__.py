"""A mail through any SMTP server."""
