"""What a specification makes of a container."""

import json
from typing import Any

import docker
import pytest

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import (
    BuildSpec,
    ContainerGone,
    FileContent,
    Mount,
    SpecRefused,
)
from e2e_controller.drivers.fake import FakeDriver
from tests.contract import scripts
from tests.contract.bench import Bench


async def test_env_user_and_working_directory(bench: Bench) -> None:
    container_id = await bench.up(
        command=scripts.SURROUNDINGS.command,
        env={"GREETING": "héllo = wörld"},
        user="1234",
        working_dir="/tmp",
    )
    await bench.ended()
    assert (await bench.log(container_id)).decode() == "héllo = wörld|1234|/tmp\n"


async def test_limits_and_privileges_reach_the_engine(
    docker_bench: Bench, docker_client: docker.APIClient
) -> None:
    container_id = await docker_bench.up(
        memory=64 * 2**20,
        cpus=0.5,
        capabilities=("NET_ADMIN",),
        stop_signal="SIGINT",
        userns="host",
        labels={"team": "blue"},
    )
    found = docker_client.inspect_container(container_id)
    config = found["HostConfig"]
    assert config["Memory"] == config["MemorySwap"] == 64 * 2**20
    assert config["NanoCpus"] == 500_000_000
    assert config["CapAdd"] in (["CAP_NET_ADMIN"], ["NET_ADMIN"])
    assert config["UsernsMode"] == "host"
    assert config["RestartPolicy"]["Name"] in ("", "no")
    assert config["LogConfig"]["Config"]["max-size"]
    assert not config["Privileged"]
    assert found["Config"]["StopSignal"] == "SIGINT"
    assert found["Config"]["Labels"]["team"] == "blue"
    assert found["Config"]["Hostname"] == "web"
    limits = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
    out, _, _ = await docker_bench.run(container_id, "sh", "-c", limits)
    assert out.split() == [str(64 * 2**20).encode()]


async def test_privileged_is_asked_for(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    """Whether it then starts is the machine's matter."""
    container_id = await docker_bench.create(privileged=True)
    assert docker_client.inspect_container(container_id)["HostConfig"]["Privileged"]


@pytest.mark.parametrize(
    ("entrypoint", "command", "expected"),
    [
        (None, None, ["/bin/echo", "from-entrypoint", "from-command"]),
        (None, ("mine",), ["/bin/echo", "from-entrypoint", "mine"]),
        (None, (), ["/bin/echo", "from-entrypoint"]),
        (("/bin/echo", "own"), None, ["/bin/echo", "own"]),
        (("/bin/echo", "own"), ("mine",), ["/bin/echo", "own", "mine"]),
        (("/bin/echo", "own"), (), ["/bin/echo", "own"]),
        ((), ("/bin/echo", "mine"), ["/bin/echo", "mine"]),
        ((), None, ["from-command"]),
    ],
)
async def test_entrypoint_and_command(
    docker_bench: Bench,
    docker_client: docker.APIClient,
    entrypoint: tuple[str, ...] | None,
    command: tuple[str, ...] | None,
    expected: list[str],
) -> None:
    """What is not given is the image's; but an entrypoint that is given drops the image's command."""
    tag = f"{docker_bench.controller_id}:entry"
    context = docker_bench.state_dir / "context"
    context.mkdir()
    only = f"ENV ONLY={docker_bench.controller_id}"  # shares no layer with a sister, which removes its own
    words = 'ENTRYPOINT ["/bin/echo","from-entrypoint"]\nCMD ["from-command"]\n'
    dockerfile = f"FROM busybox:1.36\n{only}\n{words}"
    (context / "Dockerfile").write_text(dockerfile)
    await docker_bench.driver.build(BuildSpec(tag, str(context)), lambda _line: None)
    container_id = await docker_bench.create(image=tag, entrypoint=entrypoint, command=command)
    found = docker_client.inspect_container(container_id)
    assert [found["Path"], *found["Args"]] == expected
    if expected[0] == "/bin/echo":
        await docker_bench.driver.start_container(container_id)
        assert (await docker_bench.ended()).exit_code == 0
        assert (await docker_bench.log(container_id)).decode().split() == expected[1:]


@pytest.mark.parametrize("entrypoint", [None, ()])
async def test_nothing_to_run(bench: Bench, entrypoint: tuple[str, ...] | None) -> None:
    with pytest.raises(SpecRefused, match="nothing to run"):
        await bench.create(entrypoint=entrypoint, command=())


async def test_files_are_there_before_the_start(bench: Bench) -> None:
    container_id = await bench.up(
        command=scripts.MODE.command,
        files=(FileContent("/srv/app/config.txt", b"content\n", 0o640), FileContent("/tmp/empty", b"")),
    )
    await bench.ended()
    assert await bench.log(container_id) == b"640 content\n"


async def test_files_leave_their_directories_as_they_were(docker_bench: Bench) -> None:
    files = (
        FileContent("/tmp/a", b"a"),
        FileContent("/new/deep/b", b"b", 0o600),
        FileContent("//etc/../etc/c", bytes(range(256)), 0o755),
        FileContent("/" + "/".join(["long" * 20] * 4), b"d"),
    )
    container_id = await docker_bench.up(files=files, user="1000:1001")
    script = "stat -c '%a %u:%g %n' /tmp /etc /new /new/deep /tmp/a /new/deep/b /etc/c; cat /new/deep/b"
    out, err, code = await docker_bench.run(container_id, "sh", "-c", script)
    assert (err, code) == (b"", 0)
    assert out.decode().splitlines() == [
        "1777 0:0 /tmp",
        "755 0:0 /etc",
        "755 0:0 /new",
        "755 0:0 /new/deep",
        "644 1000:1001 /tmp/a",
        "600 1000:1001 /new/deep/b",
        "755 1000:1001 /etc/c",
        "b",
    ]
    assert (await docker_bench.run(container_id, "cat", "/etc/c"))[0] == bytes(range(256))
    assert (await docker_bench.run(container_id, "cat", files[-1].path))[0] == b"d"


async def test_a_private_file_belongs_to_a_user_by_name(docker_bench: Bench) -> None:
    files = (FileContent("/secret", b"s", 0o400),)
    for user in ("nobody", "nobody:nobody", "1000:nobody"):
        container_id = await docker_bench.up(user.replace(":", "-"), user=user, files=files)
        assert (await docker_bench.run(container_id, "cat", "/secret")) == (b"s", b"", 0)


async def test_a_file_replaces_no_folder_of_the_image(docker_bench: Bench) -> None:
    with pytest.raises(SpecRefused, match=r'cannot overwrite directory "/etc".*; correct files\[\]\.path'):
        await docker_bench.create(files=(FileContent("/etc", b"x"),))
    assert await docker_bench.driver.inspect(docker_bench.key()) is None


async def test_a_private_file_belongs_to_the_images_user(docker_bench: Bench) -> None:
    tag = f"{docker_bench.controller_id}:user"
    (docker_bench.state_dir / "Dockerfile").write_text("FROM busybox:1.36\nUSER 4321\n")
    await docker_bench.driver.build(BuildSpec(tag, str(docker_bench.state_dir)), lambda _line: None)
    container_id = await docker_bench.up(image=tag, files=(FileContent("/secret", b"s", 0o400),))
    assert (await docker_bench.run(container_id, "cat", "/secret")) == (b"s", b"", 0)


async def test_host_path(docker_bench: Bench) -> None:
    shared = docker_bench.state_dir / "shared"
    shared.mkdir()
    (shared / "in").write_text("from host")
    container_id = await docker_bench.up(
        mounts=(
            Mount(str(shared), "/shared", is_host_path=True),
            Mount(str(shared), "/fixed", read_only=True, is_host_path=True),
        )
    )
    script = "cat /shared/in; echo out >/shared/out; echo no >/fixed/no"
    out, err, _ = await docker_bench.run(container_id, "sh", "-c", script)
    assert out == b"from host"
    assert b"Read-only" in err
    assert (shared / "out").read_text() == "out\n"


async def test_a_host_path_that_is_not_there(bench: Bench) -> None:
    missing = str(bench.state_dir / "missing")
    if isinstance(bench.driver, FakeDriver):
        bench.driver.missing_paths.add(missing)
    with pytest.raises(SpecRefused, match="does not exist") as caught:
        await bench.create(mounts=(Mount(missing, "/data", is_host_path=True),))
    assert caught.value.reason == Reason.MOUNT_FAILED
    assert not caught.value.retry
    assert await bench.driver.inspect(bench.key()) is None


async def test_a_named_volume_outlives_the_container(docker_bench: Bench) -> None:
    data = (Mount("data", "/data"),)
    first = await docker_bench.up(mounts=data)
    assert (await docker_bench.run(first, "sh", "-c", "echo kept >/data/file"))[2] == 0
    await docker_bench.driver.remove(first)
    second = await docker_bench.up("other", mounts=(Mount("data", "/data", read_only=True),))
    out, err, _ = await docker_bench.run(second, "sh", "-c", "cat /data/file; echo x >/data/file")
    assert out == b"kept\n"
    assert b"Read-only" in err


async def test_a_volume_is_the_environments_own(bench: Bench) -> None:
    await bench.create(mounts=(Mount("data", "/data"), Mount("data", "/again")))
    other = f"{bench.environment}-x"
    await bench.driver.ensure_network(other)
    key = bench.key().__class__(other, "Workload", "web")
    await bench.driver.create(key, bench.spec(mounts=(Mount("data", "/data"),)), "hash")
    found = await bench.driver.inspect(key)
    assert found is not None
    await bench.driver.remove(found.id)
    await bench.driver.remove_environment(other)
    assert list(await bench.driver.list_environments()) == [bench.environment]


async def test_an_unknown_capability(bench: Bench) -> None:
    with pytest.raises(SpecRefused, match="unknown capability") as caught:
        await bench.create(capabilities=("NO_SUCH_POWER",))
    assert caught.value.reason == Reason.CREATE_FAILED
    assert await bench.driver.inspect(bench.key()) is None


async def test_an_image_that_is_not_there(bench: Bench) -> None:
    with pytest.raises(ContainerGone, match="No such image"):
        await bench.create(image="e2e.example/no-such-image:1")
    assert await bench.driver.inspect(bench.key()) is None


async def test_a_program_that_is_not_there(bench: Bench) -> None:
    container_id = await bench.create(command=("no-such-program",))
    with pytest.raises(SpecRefused, match="executable file not found") as caught:
        await bench.driver.start_container(container_id)
    assert caught.value.reason == Reason.START_FAILED
    assert not caught.value.retry
    found = await bench.look()
    assert found.phase == "created"
    assert (found.started_at, found.exit_code) == (None, None)


@pytest.mark.parametrize(
    ("fields", "reason", "text"),
    [
        ({"command": ("/etc",)}, Reason.START_FAILED, "permission denied"),
        ({"user": "nobody-here"}, Reason.START_FAILED, "unable to find user"),
        ({"working_dir": "/etc/passwd"}, Reason.START_FAILED, "not a directory"),
        ({"working_dir": "relative"}, Reason.CREATE_FAILED, "absolute path"),
        ({"stop_signal": "SIGFOO"}, Reason.CREATE_FAILED, "[Ii]nvalid signal"),
        ({"image": "NO Reference"}, Reason.CREATE_FAILED, "invalid reference"),
        ({"cpus": 1000.0}, Reason.CREATE_FAILED, "CPUs"),
    ],
)
async def test_what_the_engine_refuses(
    docker_bench: Bench, fields: dict[str, Any], reason: Reason, text: str
) -> None:
    with pytest.raises(SpecRefused, match=text) as caught:
        await docker_bench.up(**fields)
    assert caught.value.reason == reason


async def test_mounting_a_directory_onto_a_file(docker_bench: Bench) -> None:
    mount = Mount(str(docker_bench.state_dir), "/etc/passwd", is_host_path=True)
    with pytest.raises(SpecRefused) as caught:
        await docker_bench.up(mounts=(mount,))
    assert caught.value.reason == Reason.MOUNT_FAILED


async def test_nothing_of_the_engine_is_a_bind(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    """The engine would make a missing source of a bind, as a directory of root's."""
    container_id = await docker_bench.create(mounts=(Mount("data", "/data"),))
    found = docker_client.inspect_container(container_id)
    assert not found["HostConfig"]["Binds"]
    assert json.dumps(found["HostConfig"]["Mounts"]).count("volume") == 1
