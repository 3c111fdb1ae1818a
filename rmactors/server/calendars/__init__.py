"""When a schedule runs: cron, systemd's calendar, intervals."""
