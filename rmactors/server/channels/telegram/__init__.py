"""A message of a Telegram bot to a chat."""
