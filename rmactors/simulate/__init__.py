"""Agents that speak the protocol truly and have no restic: for sizing a server, for drills, for tests.

`agent`   one of them: a connection, a spool in memory, reports sent until they are acked
`enroll`  how many of them get their credentials, and keep them for the next run
`fleet`   a whole fleet with a workload, and the figures it makes

Base dependencies only. Nothing here knows the server from inside: it could be anybody's.
"""
