"""What watches an environment: Prometheus with all its instrumented workloads, and cAdvisor."""

from e2e import AnyEnvironment, AnyWorkload
from e2e import cadvisor as usage
from e2e.prometheus.manifests import Setup
from e2edb.parts import Config
from e2edb.prometheus_server import PROMETHEUS_IMAGE
from e2edb.usage import cadvisor


def monitoring(
    env: AnyEnvironment[AnyWorkload],
    name: str = "monitoring",
    /,
    *,
    scrape_interval: float = 1.0,
    rules: Config | None = None,
    image: str = PROMETHEUS_IMAGE,
    environment: str = "",
    engine_data: str = usage.ENGINE_DATA,
    engine_socket: str = usage.ENGINE_SOCKET,
) -> list[AnyWorkload]:
    """A Prometheus that scrapes every instrumented workload of the environment, and a cAdvisor.

    Unlike `e2e.monitoring.start`, it needs no test process: it is for folders (`e2e catalog monitoring`) and
    for what goes on when this process has ended.

    Args:
        env: where they run.
        name: of the Prometheus.
        scrape_interval: seconds.
        rules: alerting and recording rules, as text or as a mapping with `groups`.
        image: of the Prometheus.
        environment: whose containers the cAdvisor shows; empty is those of all environments of the machine,
            told apart by the label `environment`.
        engine_data: the engine's own folder, for cAdvisor: see `cadvisor`.
        engine_socket: the engine's socket, likewise.
    """
    beside = f"{name}-cadvisor"
    setup = Setup(scrape_interval, image, rules, cadvisor=beside, environment=environment)
    beside_it = cadvisor(env, beside, engine_data=engine_data, engine_socket=engine_socket)
    return [env.workload(name, **setup.options()), beside_it]
