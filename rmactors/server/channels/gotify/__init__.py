"""A message to a Gotify server."""
