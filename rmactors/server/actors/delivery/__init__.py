"""One channel: what waits for it, in which order, and what becomes of an attempt."""
