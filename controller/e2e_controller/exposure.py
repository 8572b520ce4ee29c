"""Who can reach an address, and what must stand in front of it."""

from e2e_api import addresses


def check_address(address: str, *, tls: bool, token: bool, insecure: bool) -> None:
    """Raises ValueError for what is no `host:port`, or is reached from elsewhere without protection."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"expected host:port, such as 127.0.0.1:9000, not {address!r}")
    if insecure or (tls and token) or is_loopback(address):
        return
    missing = [
        what
        for what, there in (
            ("--tls-cert and --tls-key", tls),
            ("a token (--token-file, --tokens or E2E_TOKEN)", token),
        )
        if not there
    ]
    raise ValueError(
        f"{address} can be reached from other machines: give {' and '.join(missing)}, which `e2e certs` and "
        "`e2e token` make; or listen on 127.0.0.1; or give --insecure, where nobody else is on the network"
    )


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches a `host:port`."""
    return addresses.is_loopback(address.rpartition(":")[0].strip("[]"))
