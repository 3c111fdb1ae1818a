"""`rmactors demo`: the whole way on one machine, with nothing pretended.

`story`   what happens, in order
`sink`    a webhook receiver that prints what arrives
`backups` a restic repository with one plan that works and one whose password is wrong
"""
