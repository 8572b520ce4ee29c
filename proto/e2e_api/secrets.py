"""What stands for a secret wherever it would be shown."""

MASK = "********"
