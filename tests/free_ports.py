"""Ports of this machine for tests that have to know one before it is listened on."""

import random
import socket

_RANGE = range(10_000, 20_000)
"""Beside those that the kernel gives to connections, and those that the controller chooses from."""
_DICE = random.SystemRandom()  # what others seed gives workers the same numbers


def free_port() -> int:
    """A TCP port that nobody has on loopback, nor is likely to get by chance before it is used."""
    for port in _DICE.sample(_RANGE, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
