"""Measurements and the crash drill, on real server processes, seen only from outside.

`python -m bench`         the figures of docs/performance.md
`python -m bench.drill`   the figures of docs/reliability.md
"""
