import json
from pathlib import Path

import pytest

import e2e
from e2e import Build, File, HealthcheckProbe, HttpProbe, InvalidArgument, Readiness, Stop, Volume
from e2e.options import WorkloadOptions
from e2e.specs import changed_manifest, new_manifest, to_documents, with_state
from e2e_api.manifests import to_document
from e2e_api.parsing import parse_documents


def document(options: WorkloadOptions) -> dict[str, object]:
    written = to_document(new_manifest("env", "web", options))
    spec: dict[str, object] = written["spec"]
    return spec


def test_options_become_a_manifest() -> None:
    options: WorkloadOptions = {
        "image": "busybox:1.36",
        "command": ["sleep", "60"],
        "entrypoint": [],
        "env": {"A": "1"},
        "ports": {"http": 80, "dns": e2e.Port(container_port=53, protocol="udp")},
        "files": {"/etc/x": "text"},
        "readiness": HttpProbe(port="http", path="/ready"),
        "metrics": "http",
        "profiles": e2e.Profiles(port="http", path="/pprof"),
        "resources": e2e.Resources(memory="256Mi", cpus=0.5),
        "restart_policy": "OnFailure",
        "labels": {"app": "web"},
    }
    manifest = new_manifest("env", "web", options)
    assert to_document(manifest) == {
        "apiVersion": "e2e/v1",
        "kind": "Workload",
        "metadata": {"name": "web", "environment": "env", "labels": {"app": "web"}},
        "spec": {
            "image": "busybox:1.36",
            "command": ["sleep", "60"],
            "entrypoint": [],
            "env": {"A": "1"},
            "ports": {
                "http": {"containerPort": 80},
                "dns": {"containerPort": 53, "protocol": "udp"},
            },
            "files": [{"path": "/etc/x", "content": "text"}],
            "readiness": {"http": {"port": "http", "path": "/ready"}},
            "metrics": {"port": "http"},
            "profiles": {"port": "http", "path": "/pprof"},
            "resources": {"memory": 256 * 2**20, "cpus": 0.5},
            "restartPolicy": "OnFailure",
        },
    }


def test_documents_read_back_as_they_were() -> None:
    manifests = [
        new_manifest(
            "env",
            name,
            {
                "image": "x",
                "stop": Stop(signal="SIGINT"),
                "grace_period": 1.5,
                "readiness": HealthcheckProbe(),
                "startup_timeout": 90,
            },
        )
        for name in ("a", "b")
    ]
    read = parse_documents(to_documents(manifests).encode())
    assert [found.manifest for found in read] == manifests


def test_flat_durations_change_a_part() -> None:
    spec = new_manifest(
        "",
        "a",
        {
            "image": "x",
            "stop": Stop(signal="SIGINT"),
            "grace_period": 0.25,
            "readiness": Readiness(log=e2e.LogProbe(pattern="up")),
            "startup_timeout": 5,
        },
    ).spec
    assert (spec.stop.signal, spec.stop.grace_period) == ("SIGINT", 0.25)
    assert spec.readiness is not None
    assert (spec.readiness.startup_timeout, spec.readiness.timeout) == (5.0, 1.0)
    changed = changed_manifest(
        new_manifest("", "a", {"image": "x", "readiness": spec.readiness}), {"startup_timeout": 7}
    )
    assert changed.spec.readiness is not None
    assert changed.spec.readiness.startup_timeout == 7.0


def test_a_startup_timeout_needs_a_probe() -> None:
    with pytest.raises(InvalidArgument, match="startup_timeout needs a readiness probe"):
        document({"image": "x", "startup_timeout": 5})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one of image and build"),
        ({"image": "x", "build": "."}, "exactly one of image and build"),
        ({"image": "x", "metrics": "http"}, "metrics: port 'http' is not in ports"),
        (
            {"image": "x", "command": "sleep 60"},
            r'command: expected a list of words, such as \["sleep", "60"\]',
        ),
        ({"image": "x", "readiness": 5}, "readiness: 5 is no probe"),
        ({"image": "x", "ports": {"http": 0}}, "greater than or equal to 1"),
        ({"image": "x", "comand": ["x"]}, "unknown option of a workload: comand"),
        ({"image": "x", "files": {"etc/x": ""}}, "files.0.path: expected an absolute path"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(options: WorkloadOptions, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        document(options)


def test_relative_paths_are_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = new_manifest(
        "",
        "a",
        {
            "build": Build(context="./app", target="t"),
            "volumes": [Volume(source="./data", target="/data"), Volume(source="cache", target="/cache")],
        },
    ).spec
    assert spec.build is not None
    assert (spec.build.context, spec.build.target) == (str(tmp_path / "app"), "t")
    assert [volume.source for volume in spec.volumes] == [str(tmp_path / "data"), "cache"]
    assert document({"build": "app"})["build"] == {"context": str(tmp_path / "app")}


def test_changing_keeps_the_rest() -> None:
    manifest = new_manifest(
        "env",
        "a",
        {"image": "x:1", "env": {"A": "1"}, "files": [File(path="/a", content="b")], "labels": {"l": "1"}},
    )
    changed = changed_manifest(manifest, {"image": "x:2"})
    assert to_document(changed) == {
        **to_document(manifest),
        "spec": {"image": "x:2", "env": {"A": "1"}, "files": [{"path": "/a", "content": "b"}]},
    }
    built = changed_manifest(changed_manifest(changed, {"image_pull_policy": "Never"}), {"build": "/app"})
    assert (built.spec.image, built.spec.build) == (None, Build(context="/app"))


def test_a_state_is_one_field() -> None:
    manifest = new_manifest("", "a", {"image": "x"})
    assert json.loads(to_documents([with_state(manifest, "Stopped")]))["spec"] == {
        "image": "x",
        "state": "Stopped",
    }
    assert with_state(with_state(manifest, "Paused"), "Running") == manifest


def test_numbers_out_of_range_are_told_as_the_parser_tells_them() -> None:
    with pytest.raises(InvalidArgument) as raised:
        new_manifest("env", "web", {"image": "x", "ports": {"http": 70000}})
    message = "expected less than or equal to 65535, not 70000"
    assert raised.value.violations == (("ports.http.containerPort", message),)
