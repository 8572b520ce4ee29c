"""What e2e costs, beside what the engine itself needs for the same, measured in one run.

`python -m benchmarks` prints a table against the budgets and writes all raw samples as JSON.
"""
