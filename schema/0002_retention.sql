-- Removing an alert looks for what hangs on it: without these, at every row of the two tables.

CREATE INDEX held_by_alert ON held (alert_id);
CREATE INDEX told_by_alert ON told (alert_id);
