"""A page of metrics that says what it is told to."""

from pathlib import PurePosixPath
from typing import Any, Unpack, overload

from e2e import AnyEnvironment, AsyncWorkload, ContainerOptions, File, HttpProbe, Metrics, Stop, Workload
from e2edb._sync.systems import StaticMetrics
from e2edb.aio.systems import AsyncStaticMetrics
from e2edb.parts import METRICS_FILE, as_page, with_files
from e2edb.verbs import with_verbs

BUSYBOX_IMAGE = "docker.io/library/busybox:1.36"
_PORT = 8080
_SETTINGS = "/etc/httpd.conf"


class StaticMetricsOptions(ContainerOptions, total=False):
    """What it may be given; see `static_metrics`."""

    image: str


@overload
def static_metrics(
    env: AnyEnvironment[Workload], name: str, metrics: str, /, **options: Unpack[StaticMetricsOptions]
) -> StaticMetrics: ...


@overload
def static_metrics(
    env: AnyEnvironment[AsyncWorkload], name: str, metrics: str, /, **options: Unpack[StaticMetricsOptions]
) -> AsyncStaticMetrics: ...


def static_metrics(
    env: AnyEnvironment[Any],
    name: str,
    metrics: str,
    /,
    *,
    image: str = BUSYBOX_IMAGE,
    **options: Unpack[ContainerOptions],
) -> Any:
    """A web server with port `http` that serves the given text, until `set_metrics` gives another.

    The page is `/metrics/`, to which `/metrics` redirects.

    Args:
        env: where it runs.
        name: its name.
        metrics: the page, in Prometheus' text format.
        image: an image with busybox.
        options: what any container may be given.
    """
    # Scrapers insist on plain text, as which httpd knows a file by its name: so the page is a folder's index.
    settings = f"I:{PurePosixPath(METRICS_FILE).name}\n"
    options = with_files(
        options,
        File(path=METRICS_FILE, content=as_page(metrics), on_change="None"),
        File(path=_SETTINGS, content=settings),
    )
    if "stop" not in options and "grace_period" not in options:
        options = {**options, "stop": Stop(signal="SIGKILL")}  # it hears no other
    workload = env.workload(
        name,
        image=image,
        command=["httpd", "-f", "-p", str(_PORT), "-h", "/www", "-c", _SETTINGS],
        ports={"http": _PORT},
        readiness=HttpProbe(port="http", path="/metrics/"),
        metrics=Metrics(port="http", path="/metrics/"),
        **options,
    )
    return with_verbs(workload, StaticMetrics, AsyncStaticMetrics)
