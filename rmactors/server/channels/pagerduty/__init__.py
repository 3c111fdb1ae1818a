"""An incident of PagerDuty."""
