"""Alertmanager."""

from typing import Unpack

from e2e import AnyEnvironment, AnyWorkload, ContainerOptions, File, HttpProbe
from e2edb.parts import RELOADED, Config, Flags, as_yaml, command_line, with_files

ALERTMANAGER_IMAGE = "quay.io/prometheus/alertmanager:v0.28.1"
_PORT = 9093
_CONFIG = "/etc/alertmanager/alertmanager.yml"
_CLUSTER = "--cluster.listen-address"
"""With an empty address, there is no cluster that it settles with before it is ready."""
_SILENT: Config = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}


def alertmanager(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    /,
    *,
    config: Config = _SILENT,
    image: str = ALERTMANAGER_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """An Alertmanager with port `http`, alone; needs flags that 0.25 and later know.

    Args:
        env: where it runs.
        name: its name.
        config: `alertmanager.yml` as text or as a mapping; the default keeps alerts and notifies nobody.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    own_flags = {
        "--config.file": _CONFIG,
        "--storage.path": "/alertmanager",
        "--web.listen-address": f":{_PORT}",
        "--log.level": "info",
    }
    config_file = File(path=_CONFIG, content=as_yaml(config), on_change=RELOADED)
    return env.workload(
        name,
        image=image,
        command=[*command_line(own_flags, flags), *([] if _CLUSTER in (flags or {}) else [f"{_CLUSTER}="])],
        ports={"http": _PORT},
        readiness=HttpProbe(port="http", path="/-/ready"),
        metrics="http",
        profiles="http",
        **with_files(options, config_file),
    )
