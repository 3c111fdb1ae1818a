"""A message to a channel of Slack, by its incoming webhook."""
