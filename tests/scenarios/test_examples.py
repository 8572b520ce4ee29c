"""The examples, as their readers run them."""

import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import ok

import e2e
from e2e import equals, greater_or_equal

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(file: str) -> Any:
    """The module of an example."""
    name = f"examples_{file.replace('/', '_').removesuffix('.py')}"
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


test_thanos = example("thanos/test_thanos.py").test_querier_sees_both_sidecars
test_exampleapp = pytest.mark.timeout(360)(
    example("exampleapp/test_exampleapp.py").test_prometheus_sees_at_least_five_requests
)


SECONDS = 170.0


def test_exampleapp_as_a_folder(environment: str, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "manifests" / "exampleapp", tmp_path / "manifests" / "exampleapp")
    example("exampleapp/test_exampleapp.py").build_context(tmp_path / "exampleapp")
    folder = tmp_path / "manifests" / "exampleapp"
    ok("up", folder, "--env", environment, "--wait", "--keep", "--timeout", "85s")
    with e2e.Environment.attach(environment, timeout=SECONDS) as env:
        queries = e2e.Queries(env.get("prometheus"))
        queries.wait_query('up{workload="exampleapp", job="exampleapp"}', equals(1))
        table = ok("get", "exampleapp", "--env", environment)
        address = re.search(r"http=(\S+)", table)
        assert address is not None
        for _ in range(5):
            example("exampleapp/test_exampleapp.py").get(address[1])
        queries.wait_query('sum(http_requests_total{job="exampleapp"})', greater_or_equal(5))
