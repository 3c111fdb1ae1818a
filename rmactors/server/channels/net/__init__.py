"""Connections to receivers: which address is allowed, dialing, TLS, HTTP."""
