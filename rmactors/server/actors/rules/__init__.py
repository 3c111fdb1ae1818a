"""The rules: pure functions of (what is remembered, what happened) to (what is remembered, what follows and why).

`core`             what is to be done about each message, as effects that `actor` carries out
`pipeline`         one host: its decisions in flight to disk
`agenda`           when which schedule is checked, and which hosts are here
`hosts`            which host a request is about
`decisions`        one host: what each request leads to
`runs`             what the start, the end and the loss of a run lead to
`plans`            the same backup: which schedules and alerts are about one plan
`outcomes`         the four `…_failed` rules: what a job's end does to an alert
`suspicious`       `backup_suspicious`: backups that succeeded and look wrong
`host_conditions`  what lasts until it clears; `agent_offline`, and what else is about a host itself
`missed_runs`      whether a slot of a schedule was missed, and when to check again
`overdue`          `backup_overdue`: how old the newest good backup may get
`alert_limit`      `too_many_alerts`: a host with more open alerts than people can read
`operators`        what an acknowledgement or a resolution by hand does
`wording`          what people read

No clock, no database, no network, no logging in here; `actor` alone touches the world.
"""
