"""How `host:port` is written."""


def host_and_port(host: str, port: int | str) -> str:
    """An IPv6 address is put in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
