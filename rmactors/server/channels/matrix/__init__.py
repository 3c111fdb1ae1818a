"""A message in a room of Matrix."""
