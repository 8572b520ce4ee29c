"""Grafana."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from e2e import AnyEnvironment, AnyWorkload, ContainerOptions, File, HttpProbe, Linked
from e2edb.parts import as_yaml, with_env, with_files

GRAFANA_IMAGE = "docker.io/grafana/grafana:11.6.0"
_PORT = 3000
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
        options: what any container may be given; settings of Grafana's are variables in `env`.
    """
    listed = [_datasource(source, number == 0) for number, source in enumerate(datasources)]
    provisioning = as_yaml({"apiVersion": 1, "datasources": listed})
    variables = {
        "GF_SERVER_HTTP_PORT": str(_PORT),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Admin",
        "GF_AUTH_DISABLE_LOGIN_FORM": "true",
        # It would ask its maker's servers at each start.
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    }
    return env.workload(
        name,
        image=image,
        ports={"http": _PORT},
        readiness=HttpProbe(port="http", path="/api/health"),
        metrics="http",
        **with_files(with_env(options, variables), File(path=_DATASOURCES, content=provisioning)),
    )


def _datasource(source: Linked | Mapping[str, Any], is_default: bool) -> Mapping[str, Any]:
    if isinstance(source, Mapping):
        return source
    url = f"http://{source.internal_endpoint('http')}"
    # Points are asked for at the scrapes' interval, so that a test of seconds is more than one point.
    interval = {"timeInterval": "1s"}
    basis = {"name": source.name, "uid": source.name, "type": "prometheus", "access": "proxy", "url": url}
    return {**basis, "isDefault": is_default, "jsonData": interval}
