"""What the server asks of this host while somebody there waits, and how it is answered. Nothing here changes anything.

    handler     what answers one kind of request: its parameters, and the function
    registry    which kinds there are
    answering   requests in, responses out: who waits, who is called off, what is refused
    context     what a handler has to work with
    reader      restic, for a question
    listings    long answers, kept for a while and given out in pages
    snapshots, browse, find, diff, preview, stats   the kinds

To add a kind: a module with its `HANDLER`, and its line in `registry`.
"""
