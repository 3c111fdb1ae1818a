"""Looks after what is known of repositories: asks agents, a few at a time, at most daily."""
