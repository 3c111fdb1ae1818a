"""What pages and API read: functions `(connection, …) -> value`, run on read-only connections.

One module for each thing read. They return plain values: frozen dataclasses, times in microseconds. None writes.
"""
