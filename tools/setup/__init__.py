"""What `engine.py`, `images.py` and `python_environment.py` are made of: a fresh machine's set-up."""

import sys

# Here, since every tool imports this first, and an older Python could not even read the rest.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("e2e needs Python 3.11 or newer: name one, as in `make test PYTHON=python3.12`")
