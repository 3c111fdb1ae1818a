-- What agents sent before there were limits, brought within them: see rmactors/store/cleaning.py for the functions. Rows
-- that fit are left as they are.

UPDATE jobs SET
    plan = kept_name(plan), subject = kept_subject(subject), error = kept_text(error),
    warning = stats_warning(stats, kind, kept_text(warning)), stats = kept_stats(stats, kind)
  WHERE stats <> kept_stats(stats, kind) OR plan <> kept_name(plan) OR error <> kept_text(error)
    OR warning <> kept_text(warning) OR subject <> kept_subject(subject);

UPDATE jobs SET
    started_at = CASE WHEN started_at < 0 THEN 0 ELSE started_at END,
    finished_at = CASE WHEN finished_at < 0 THEN 0 ELSE finished_at END,
    scheduled_for = CASE WHEN scheduled_for < 0 THEN 0 WHEN scheduled_for > 4102444800000000 THEN 4102444800000000
      ELSE scheduled_for END,
    sort_at = CASE WHEN sort_at < 0 THEN 0 ELSE sort_at END
  WHERE started_at < 0 OR finished_at < 0 OR scheduled_for < 0 OR scheduled_for > 4102444800000000 OR sort_at < 0;

UPDATE hosts SET
    hostname = kept_name(hostname), os = kept_name(os), arch = kept_name(arch), agent_version = kept_name(agent_version),
    restic_version = kept_name(restic_version), timezone = kept_name(timezone),
    tzdata_version = kept_name(tzdata_version), restic_problem = kept_text(restic_problem), plans = kept_plans(plans);

UPDATE host_notes SET detail = kept_text(detail) WHERE detail <> kept_text(detail);

-- OR IGNORE: two that differ in nothing but what is no character stay two.
UPDATE OR IGNORE alerts SET message = kept_message(message), subject = kept_subject(subject)
  WHERE message <> kept_message(message) OR subject <> kept_subject(subject);
UPDATE OR IGNORE tracks SET subject = kept_subject(subject) WHERE subject <> kept_subject(subject);
UPDATE tracks SET head = kept_json(head), good = kept_json(good)
  WHERE head <> kept_json(head) OR good <> kept_json(good);
UPDATE alert_events SET message = kept_message(message) WHERE message <> kept_message(message);

UPDATE deliveries SET body = kept_json(body) WHERE state IN ('queued', 'dead') AND body <> kept_json(body);
