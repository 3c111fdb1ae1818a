"""Signing in through an OpenID provider: what it is asked, what its answers mean. Knows nothing of pages and users."""
