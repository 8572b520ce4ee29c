"""Prometheus as monitoring uses it: how it is run and configured, and what it answers. No I/O."""
