"""A JSON document to any URL."""
