"""The server: its tree of actors, and all that they use."""
