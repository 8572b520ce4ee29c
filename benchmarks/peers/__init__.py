"""What others need for the same: each peer in the way that its documentation recommends.

A peer is a small program of its own, which is told what to do line by line (`process.py`), so that rounds can
be interleaved and neither its compilation nor its imports are timed; only Compose is a command for each way,
as it is for its users.
"""
