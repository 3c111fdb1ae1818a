"""The part that runs on each host: it runs restic, or watches what runs it, and loses no outcome.

    enrollment      trades a token for the host's credential
    daemon          `run_agent`: the tree of tasks of a running agent
    wrapping        `run_exec`: wraps a command that something else starts;  `run_reporter` reports it
    wrapped         that command's process;  `signals`, `inheritance` what is handed on to it

    state_dir       files of the state dir, except the spool
    spool           unacked reports, on disk;  `spool_file` opens it
    keeper          the spool, and memory for what a full disk does not take;  `disk_trouble` says why it does not
    report_queue    both, as tasks use them;  `report_sender` sends them over one connection
    unwritten       what is in memory alone: delivered, and written later;  `pipes` what an `exec` hands over
    connection      one WebSocket, with deadlines;  `server_link` keeps one open;  `server_url` where to
    due_runs        pure: which slots are due;  `scheduler` waits for them
    agent_file      agent.toml;  `job_spec` what the server may ask of it
    job_runner      jobs, one at a time per repository;  `restic_job` does one, by `restic_calls` and `job_process`
    environment, restic_locks   a cache that restic can write; whose lock it is that was left in a repository
    restic_output, output_summary, verdict   pure: what restic said, what matters of it, and what that means
    command_line, wrapped_verdict   pure: what program `exec` runs, and how that ended
    loglines        pure: what a job wrote, and which lines are kept

Base install only: nothing in here imports the server or its dependencies.
"""
