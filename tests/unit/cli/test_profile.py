"""`e2e profile`."""

import gzip
import json
from pathlib import Path

from ..sdk.web_program import serving
from .conftest import RunE2E
from .fake import CliController, workload

PROFILE = gzip.compress(b"a profile")


def profiled(controller: CliController, address: str) -> None:
    endpoints = [{"port": "http", "internal": "web:80", "external": address, "protocol": "tcp"}]
    found = workload("shop", "web", endpoints=endpoints)
    spec = {"image": "img:1", "ports": {"http": 80}, "profiles": {"port": "http"}}
    manifest = {"kind": "Workload", "metadata": {"name": "web"}, "spec": spec}
    found.document = json.dumps({"apiVersion": "e2e/v1", **manifest})
    controller.add(found)


def test_a_profile_is_saved_where_asked(controller: CliController, e2e: RunE2E, tmp_path: Path) -> None:
    asked = []

    def answer(path: str, query: dict[str, str]) -> bytes:
        asked.append((path, query))
        return PROFILE

    with serving(answer) as address:
        profiled(controller, address)
        file = tmp_path / "cpu.pb.gz"
        assert e2e("profile", "web", "cpu", "--seconds", "2s", "-o", file) == (0, f"{file}\n", "")
        assert file.read_bytes() == PROFILE
        heap = tmp_path / "web-heap.pb.gz"
        assert e2e("profile", "web", "heap", "--env", "shop", "-o", tmp_path) == (0, f"{heap}\n", "")
    assert asked == [("/debug/pprof/profile", {"seconds": "2"}), ("/debug/pprof/heap", {})]


def test_what_stands_in_the_way_is_told(controller: CliController, e2e: RunE2E, tmp_path: Path) -> None:
    controller.add(workload("shop", "plain"))
    code, _, told = e2e("profile", "plain", "heap", "-o", tmp_path)
    assert (code, "plain is not profiled" in told) == (1, True)
    assert e2e("profile", "plain", "head")[0] == 2
    with serving(lambda *_: (404, b"no such page")) as address:
        profiled(controller, address)
        code, _, told = e2e("profile", "web", "heap", "-o", tmp_path)
    assert (code, "answers with 404: no such page" in told) == (1, True)
    assert list(tmp_path.glob("*.gz")) == []
