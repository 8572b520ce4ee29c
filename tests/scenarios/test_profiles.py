"""Profiles of real programs, taken with no server."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest
from pprof import names_in

import e2e
import e2edb
from e2e.cli.program import run

GO = shutil.which("go")


def test_profiles_of_a_running_program(e2e_environment: e2e.Environment, tmp_path: Path) -> None:
    query = e2edb.thanos_querier(e2e_environment, "query-1")
    with pytest.raises(e2e.NotRunning):
        query.profile("heap", path=tmp_path)
    query.start_and_wait_ready()
    # Which functions the samples of memory name is left to chance; each goroutine is told.
    heap = query.profile("heap", path=tmp_path)
    assert {"inuse_space", "alloc_objects"} <= names_in(heap)
    assert {"goroutine", "main.main"} <= names_in(query.profile("goroutine", path=tmp_path))
    by_command = tmp_path / "heap.pb.gz"
    assert run(["profile", "query-1", "heap", "--env", e2e_environment.name, "-o", str(by_command)]) == 0
    assert {"inuse_space", "alloc_objects"} <= names_in(by_command)
    trace = query.profile("trace", seconds=1, path=tmp_path)
    assert trace.read_bytes().startswith(b"go 1.")
    with pytest.raises(e2e.InvalidArgument, match="whole seconds"):
        query.profile("cpu", seconds=0.5)
    place = e2e.Profiles(port="http", path="/nowhere")
    lost = e2edb.thanos_querier(e2e_environment, "query-2")
    lost.update(profiles=place)
    lost.start_and_wait_ready()
    with pytest.raises(e2e.NotFound, match="answers with 404"):
        lost.profile("heap", path=tmp_path)
    query.stop()
    with pytest.raises(e2e.NotRunning):
        query.profile("heap", path=tmp_path)


def test_ready_made_systems_are_profiled(e2e_environment: e2e.Environment, tmp_path: Path) -> None:
    systems = [
        e2edb.jaeger(e2e_environment, "jaeger"),
        e2edb.alertmanager(e2e_environment, "alertmanager"),
    ]
    e2e_environment.start_and_wait_ready(*systems)
    for system in systems:
        assert "inuse_space" in names_in(system.profile("heap", path=tmp_path))
        assert "main.main" in names_in(system.profile("goroutine", path=tmp_path))


async def test_a_cpu_profile_and_what_go_reads_in_it(
    e2e_async_environment: e2e.AsyncEnvironment, tmp_path: Path
) -> None:
    prometheus = e2edb.prometheus(e2e_async_environment, "prometheus-1")
    await prometheus.start_and_wait_ready()
    cpu = await prometheus.profile("cpu", seconds=1, path=tmp_path / "cpu.pb.gz")
    assert cpu == tmp_path / "cpu.pb.gz"
    allocs = await prometheus.profile("allocs", path=tmp_path)
    assert {"alloc_space", "alloc_objects"} <= names_in(allocs)
    assert "cpu" in names_in(cpu, samples=False)
    if GO is not None:
        assert "Type: alloc_space" in await asyncio.to_thread(top, allocs)
        assert "Type: cpu" in await asyncio.to_thread(top, cpu)


def top(path: Path) -> str:
    """What Go's own tool reads in a profile."""
    command = [str(GO), "tool", "pprof", "-top", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=250).stdout
