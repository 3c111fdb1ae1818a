"""What runs restic on this host already: found in crontabs, systemd's timers, resticprofile, autorestic and Backrest.

`found` is what comes out, `commands` sees restic in a command line, each tool has a module that reads its files, and
`host` is where the files are. All but `host` are pure. Nothing here changes anything.
"""
