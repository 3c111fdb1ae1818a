"""Looks after policies: every host has just the schedules that they say."""
