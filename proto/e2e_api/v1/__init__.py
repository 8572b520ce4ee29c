"""Generated from `proto/e2e/v1` by `make generate`."""
