"""For tests that use e2e: the pytest plugin, which is loaded by itself."""
