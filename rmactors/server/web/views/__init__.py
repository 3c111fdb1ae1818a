"""View models: what a page says, as plain values. Pure: rows and the present moment in, words and shapes out.

No database, no HTTP, no clock in here; templates show what these modules decide and decide nothing themselves.
"""
