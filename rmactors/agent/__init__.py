"""The part that runs on each host: it runs restic, or watches what runs it, and loses no outcome.

    enrolment   trades a token for the host's credential
    daemon      `run_agent`: the tree of tasks of a running agent
    wrapping    `run_exec`: wraps a command that something else starts, and reports it
    wrapped     that command's process;  `signals`, `inheritance` what is handed on to it

    state       files of the state dir, except the spool
    spool       unacked reports, on disk; `outbox` is its face for tasks;  `spool_file` opens it
    keeper      the spool, and memory for what a full disk does not take;  `disk_trouble` says why it does not
    unwritten   what is in memory alone: delivered, and written again;  `pipes` what an `exec` hands over
    connection  one WebSocket, with deadlines;  `link` keeps one open
    schedules   pure: which slots are due;      `timetable` waits for them
    settings    agent.toml;                     `requests` what the server may ask of it
    workshop    jobs, one at a time per repository;  `restic_job`, `process` run one
    environment, locks   a cache that restic can write; whose lock it is that was left in a repository
    restic_output, digest, verdict   pure: what restic said, what matters of it, and what that means
    command_line, wrapped_verdict   pure: who it is that `exec` runs, and how that ended
    loglines    pure: what a job wrote, and which lines are kept

Base install only: nothing in here imports the server or its dependencies.
"""
