"""What ssh says of a connection that failed, and what helps. Pure."""

import re

_NOBODY_THERE = "start the engine there and let that user use its socket, or name another: ssh://host/path"
_RULES = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|[Hh]ost key verification failed|No \S+ host key is known",
        "ssh does not trust the host's key",
        "log in once by hand with `ssh`, and compare the key; or add it to ~/.ssh/known_hosts",
    ),
    (
        r"Permission denied|Too many authentication failures|no such identity",
        "ssh may not log in",
        "`ssh -o BatchMode=yes` must work by hand: a key without a passphrase, or one in an agent",
    ),
    (r"Could not resolve hostname", "ssh does not know that host", "correct DOCKER_HOST, or ~/.ssh/config"),
    (
        r"Connection refused|No route to host|Network is unreachable|timed out|not responding",
        "ssh does not reach the host",
        "see whether the machine runs and serves ssh on that port",
    ),
    (
        r"administratively prohibited|forwarding (is )?(disabled|refused|not permitted)",
        "ssh may not forward the engine's socket",
        "allow it there: `AllowStreamLocalForwarding yes` and `AllowTcpForwarding yes` in sshd_config",
    ),
)
_OPEN_FAILED = re.compile(r"open failed: (connect failed|unknown channel|administratively)[^\n]*")
_NOISE = re.compile(r"(Warning: Permanently added|\*\* |Control socket|Pseudo-terminal)")


def explain(words: str, socket: str) -> tuple[str, str]:
    """The cause with ssh's own last words, and the remedy; ("", "") where it said nothing."""
    lines = [line for line in words.splitlines() if not _NOISE.match(line)]
    said = lines[-1] if lines else ""
    for pattern, cause, remedy in _RULES:
        if (told := [line for line in lines if re.search(pattern, line)]) and "channel " not in said:
            return f"{cause}: {told[-1]}", remedy
    if refusal := refused_channel(words, socket):
        return refusal
    return (f"ssh failed: {said}", "see whether `ssh` works by hand") if said else ("", "")


def refused_channel(words: str, socket: str) -> tuple[str, str] | None:
    """What it means that ssh is there, and did not get through to the engine's socket on the far side."""
    found = [line for line in words.splitlines() if _OPEN_FAILED.search(line)]
    if not found:
        return None
    if "administratively" in found[-1]:
        _, cause, remedy = _RULES[-1]
        return f"{cause}: {found[-1]}", remedy
    return f"ssh is through, but nothing answers at {socket} on that machine: {found[-1]}", _NOBODY_THERE
