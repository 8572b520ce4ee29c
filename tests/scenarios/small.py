"""Small workloads on real programs, which start fast and stop at once when asked."""

import e2e
from e2e import AnyEnvironment, AnyWorkload

BUSYBOX = "busybox:1.36"


def until_stopped(*before: str) -> list[str]:
    """A shell that does something, then lives until it is asked to end."""
    return ["sh", "-c", "; ".join(["trap 'exit 0' TERM", *before, "while true; do sleep 0.05; done"])]


def web_server(env: AnyEnvironment[AnyWorkload], name: str, root: str = "/www") -> AnyWorkload:
    """Serves `root` on port `http`; its file `metrics` is the page of metrics, `index.html` the readiness."""
    return env.workload(
        name,
        image=BUSYBOX,
        command=until_stopped(f"httpd -p 80 -h {root}", "echo serving", "echo to stderr >&2"),
        files={"/www/index.html": f"I am {name}\n", "/www/metrics": ""},
        ports={"http": 80},
        readiness=e2e.HttpProbe(port="http", path="/index.html"),
        metrics="http",
    )
