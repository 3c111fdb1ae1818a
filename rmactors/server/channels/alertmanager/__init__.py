"""An alert of Prometheus' Alertmanager."""
