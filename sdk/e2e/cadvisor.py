"""cAdvisor as it is run beside an environment, and how its series are told apart. No I/O.

It sees all containers of the machine; the relabelling leaves those of one environment, as label `workload`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from e2e.options import WorkloadOptions
from e2e_api.manifests import HttpProbe, Volume

IMAGE = "ghcr.io/google/cadvisor:v0.53.0"
PORT = 8080
JOB = "cadvisor"
ENGINE_SOCKET = "/var/run/docker.sock"
ENGINE_DATA = "/var/lib/docker"
PROCESSES = ("/e2e",)
"""Cgroups below which there are processes to be shown like containers, as `e2e.cgroups` puts them there."""

MARK = ("e2e-metrics", "containers")
"""The label of each, by which monitoring tells it apart: what its page says is not about itself."""

METRICS = ("cpu", "memory", "network", "diskIO", "pressure")
"""Kinds of metrics. Others need more than it is given: how full disks are, all of the engine's data; how
often memory ran out, the kernel's log."""

_ENVIRONMENT, _WORKLOAD = "io.e2e.environment", "io.e2e.name"
_LABEL = "container_label_io_e2e_{}"
_PROCESS = "(?:.*/)?e2e/"


def flags(processes: Sequence[str] = PROCESSES) -> dict[str, str]:
    """Those that the program is given, by name: every second it looks at each container.

    Args:
        processes: cgroups, as the kernel names them, of which those below are watched beside containers.
    """
    return {
        "--port": str(PORT),
        "--docker_only": "true",
        "--raw_cgroup_prefix_whitelist": ",".join(processes),
        "--store_container_labels": "false",
        "--whitelisted_container_labels": f"{_ENVIRONMENT},{_WORKLOAD}",
        "--housekeeping_interval": "1s",
        "--allow_dynamic_housekeeping": "false",
        "--enable_metrics": ",".join(METRICS),
    }


def volumes(engine_data: str = ENGINE_DATA, engine_socket: str = ENGINE_SOCKET) -> tuple[Volume, ...]:
    """What of the host it has to see: cgroups, processes, and what the engine says of its containers.

    Args:
        engine_data: the engine's own folder, as `docker info` shows it ("Docker Root Dir").
        engine_socket: the engine's socket.
    """
    layers = f"{engine_data}/image"
    return (
        Volume(source="/sys/fs/cgroup", target="/sys/fs/cgroup", read_only=True),
        Volume(source="/proc", target="/rootfs/proc", read_only=True),
        # Which layer is whose, and no layers.
        Volume(source=layers, target=f"/rootfs{layers}", read_only=True),
        Volume(source=engine_socket, target=ENGINE_SOCKET, read_only=True),
    )


def options(processes: Sequence[str] = PROCESSES, **places: str) -> WorkloadOptions:
    """What makes a workload of it, with port `http`; `places` are what `volumes` takes."""
    return {
        "image": IMAGE,
        "command": [f"{name}={value}" for name, value in flags(processes).items()],
        "ports": {"http": PORT},
        "readiness": HttpProbe(port="http", path="/healthz"),
        "metrics": "http",
        "labels": dict([MARK]),
        "volumes": volumes(**places),
    }


def job(address: str, environment: str = "") -> Mapping[str, Any]:
    """Prometheus' scrape job, named `cadvisor`, for one at `host:port`.

    It shows only that environment's containers; without a name those of all environments of the machine, told
    apart by the label `environment`.
    """
    labels = {"instance": address, **({"environment": environment} if environment else {})}
    return {
        "job_name": JOB,
        # Looks at everything for this page; by itself it does so every one to two seconds.
        "params": {"max_age": ["0s"]},
        # With cAdvisor's own times, what is gone would be there for five more minutes.
        "honor_timestamps": False,
        "static_configs": [{"targets": [address], "labels": labels}],
        "metric_relabel_configs": relabelling(environment),
    }


def relabelling(environment: str = "") -> list[dict[str, Any]]:
    """Prometheus' rules by which its series get the label `workload`, and those of others are dropped.

    Of workloads and jobs that is their name; of a process in a cgroup `/e2e/<name>`, or
    `/e2e/<environment>.<name>`, that name.
    """
    labels = [_LABEL.format("environment"), _LABEL.format("name")]
    whose = [
        {"source_labels": labels[:1], "regex": "(.+)", "target_label": "environment"},
        {"source_labels": ["id"], "regex": _PROCESS + r"([^/.]+)\.[^/.]+", "target_label": "environment"},
    ]
    process = rf"{_PROCESS}(?:{environment or '[^/.]+'}\.)?([^/.]+)"
    return [
        *([] if environment else whose),
        {"source_labels": labels, "regex": f"{environment or '.+'};(.+)", "target_label": "workload"},
        {"source_labels": ["id"], "regex": process, "target_label": "workload"},
        # Only what is told of a container or a process has an id.
        {"source_labels": ["id", "workload"], "regex": ".+;", "action": "drop"},
        {"regex": _LABEL.format(".+"), "action": "labeldrop"},
    ]
