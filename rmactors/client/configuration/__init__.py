"""A server's configuration as one TOML file: written from a server, compared with one, and carried over to one.

`tables` says what may stand in the file, `reading` and `writing` are the file, `server` is what a server has,
`comparing` finds what differs, and `applying` changes it.
"""
