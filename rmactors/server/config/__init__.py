"""Settings, keys and files of the server."""
