"""Signing in: passwords, throttles, sessions, the second factor, the first run."""
