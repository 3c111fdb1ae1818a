"""A message of Pushover."""
