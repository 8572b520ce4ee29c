"""Grafana."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from e2e import AnyEnvironment, AnyWorkload, ContainerOptions, File, HttpProbe, Linked
from e2edb.parts import as_yaml, with_files

GRAFANA_IMAGE = "docker.io/grafana/grafana:11.6.0"
_PORT = 3000
_SETTINGS_FILE = "/etc/grafana/grafana.ini"
# No variables: what has `auth` in its name would be taken for a secret, and "true" be hidden in all logs.
_SETTINGS = f"""\
[server]
http_port = {_PORT}
[auth]
disable_login_form = true
[auth.anonymous]
enabled = true
org_role = Admin
[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false
"""
_DATASOURCES = "/etc/grafana/provisioning/datasources/e2e.yaml"


def grafana(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    datasources: Sequence[Linked | Mapping[str, Any]],
    /,
    *,
    image: str = GRAFANA_IMAGE,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """A Grafana with port `http`, where whoever comes may do anything without a login.

    Args:
        env: where it runs.
        name: its name.
        datasources: what it shows: workloads with port `http` that have Prometheus' query API, such as
            Prometheus itself, a querier or a query frontend, each under its name; or Grafana's own
            descriptions. The first is the default.
        image: the image.
        options: what any container may be given; variables in `env`, such as
            `GF_LOG_LEVEL`, win over the settings that it has.
    """
    listed = [_datasource(source, number == 0) for number, source in enumerate(datasources)]
    provisioning = as_yaml({"apiVersion": 1, "datasources": listed})
    files = (
        File(path=_DATASOURCES, content=provisioning),
        File(path=_SETTINGS_FILE, content=_SETTINGS),
    )
    return env.workload(
        name,
        image=image,
        ports={"http": _PORT},
        readiness=HttpProbe(port="http", path="/api/health"),
        metrics="http",
        **with_files(options, *files),
    )


def _datasource(source: Linked | Mapping[str, Any], is_default: bool) -> Mapping[str, Any]:
    if isinstance(source, Mapping):
        return source
    url = f"http://{source.internal_endpoint('http')}"
    # Points are asked for at the scrapes' interval, so that a test of seconds is more than one point.
    interval = {"timeInterval": "1s"}
    basis = {"name": source.name, "uid": source.name, "type": "prometheus", "access": "proxy", "url": url}
    return {**basis, "isDefault": is_default, "jsonData": interval}
