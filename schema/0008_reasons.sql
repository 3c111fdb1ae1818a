-- Why the rules raised, worsened or resolved an alert (messages/reasons.py). NULL: an operator or a silence did it, or it
-- was before this was noted.
ALTER TABLE alert_events ADD COLUMN reason TEXT;
