"""The rules: pure functions of (what is remembered, what happened) to (what is remembered, what follows and why).

`track`       what is remembered of one (host, kind of alert, subject), and its form on disk
`outcomes`    the four `…_failed` rules: what a job's end does
`conditions`  `agent_offline` and `stale_schedule`: what holds until it clears
`crowd`       `too_many_alerts`: a host with more open alerts than people can read
`operators`   what an acknowledgement or a resolution by hand does
`book`        one host: which of these a request concerns, and the writes that follow
`slots`       whether a schedule's slot was missed, and when to look again
`wording`     what people read

No clock, no database, no network, no logging in here.
"""
