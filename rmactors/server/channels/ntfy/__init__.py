"""A message to a topic of ntfy."""
