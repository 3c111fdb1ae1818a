"""The HTTP API from the other side: what `rmactors alerts`, `hosts`, `jobs` and `channels` speak.

Needs the base installation alone, so that an administrator's own machine can have it without a server's parts.
"""
