"""Observe, plan (pure), execute (no decisions), status (pure)."""
