"""The contract between controller and clients: manifests, messages, conditions, errors. No I/O."""
