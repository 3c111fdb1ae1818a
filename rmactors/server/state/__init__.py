"""What actors rebuild from, as plain data: the store reads it, actors own it."""
