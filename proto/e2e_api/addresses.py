"""How `host:port` is written, and which hosts are this machine alone."""

import ipaddress


def host_and_port(host: str, port: int | str) -> str:
    """An IPv6 address is put in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether it is sure that nothing but this machine is reached by that name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
