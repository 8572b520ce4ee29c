"""What a workload can be told to do, on the real engine."""

import urllib.request
from pathlib import Path

import pytest
from apis import until
from small import BUSYBOX, until_stopped, web_server

import e2e
from e2e import Conflict, Environment, ExecFailed, InvalidArgument, NotFound, NotRunning


def page(endpoint: str) -> str:
    with urllib.request.urlopen(f"http://{endpoint}/index.html", timeout=60) as response:
        return response.read().decode()


def test_a_workload_goes_through_its_states() -> None:
    with Environment(timeout=100) as env:
        web = web_server(env, "web")
        assert not web.is_running()
        with pytest.raises(NotRunning):
            web.endpoint("http")
        web.start_and_wait_ready()
        endpoint = web.endpoint("http")
        assert page(endpoint) == "I am web\n"
        first = web.status().container
        assert first is not None

        web.stop()
        web.stop()  # what is so already costs nothing
        assert not web.is_running()
        with pytest.raises(NotRunning):
            web.endpoint("http")
        with pytest.raises(NotRunning):
            web.exec(["true"])
        web.start_and_wait_ready()
        assert web.endpoint("http") == endpoint
        second = web.status().container
        assert second is not None
        assert second.id == first.id

        web.pause()
        status = web.status().container
        assert status is not None
        assert status.state == "paused"
        web.unpause()
        assert page(endpoint) == "I am web\n"

        web.kill()
        killed = web.status().container
        assert killed is not None
        assert killed.exit_code == 137
        web.restart()
        assert page(endpoint) == "I am web\n"

        web.remove()
        with pytest.raises(NotFound):
            web.status()
        web.start_and_wait_ready()
        assert page(web.endpoint("http")) == "I am web\n"


def test_a_change_makes_another_container() -> None:
    with Environment(timeout=100) as env:
        web = env.workload("web", image=BUSYBOX, command=until_stopped(), env={"COLOUR": "red"})
        web.start_and_wait_ready()
        before = web.status().container
        web.update(env={"COLOUR": "blue"})
        web.wait_ready()
        assert web.exec(["sh", "-c", "echo $COLOUR"]).stdout_text == "blue\n"
        after = web.status().container
        assert before is not None
        assert after is not None
        assert before.id != after.id
        with pytest.raises(InvalidArgument, match="metrics: port 'http' is not in ports"):
            web.update(metrics="http")
        assert web.exec(["sh", "-c", "echo $COLOUR"]).stdout_text == "blue\n"


def test_commands_in_a_container() -> None:
    with Environment(timeout=100) as env:
        box = env.workload("box", image=BUSYBOX, command=until_stopped())
        box.start_and_wait_ready()
        script = "read line; echo out $line $A; echo err >&2; pwd; id -u"
        result = box.exec(
            ["sh", "-c", script], stdin="hello\n", env={"A": "1"}, user="65534", working_dir="/tmp"
        )
        assert (result.stdout_text, result.stderr_text) == ("out hello 1\n/tmp\n65534\n", "err\n")
        assert box.exec(["cat"]).stdout == b""  # without input it sees the end at once
        data = bytes(range(256)) * 4096
        assert box.exec(["cat"], stdin=data).stdout == data
        with pytest.raises(ExecFailed, match=r"'ls /nowhere' in box exited with 1(?s:.*)No such file"):
            box.exec(["ls", "/nowhere"])
        assert box.exec(["sh", "-c", "exit 7"], check=False).exit_code == 7
        with pytest.raises(e2e.WaitTimeout):
            box.exec(["sleep", "20"], timeout=0.3)


def test_output_of_a_container() -> None:
    with Environment(timeout=100) as env:
        web = web_server(env, "web")
        web.start_and_wait_ready()
        written = ["serving", "to stderr"]
        until(lambda: sorted(web.logs().splitlines()), lambda found: found == written)
        go = env.shared_dir / "go"  # else it may have ended before anybody sees it run
        script = f"until rm {go} 2>/dev/null; do sleep 0.1; done; for i in 1 2 3; do echo $i; sleep 0.5; done"
        counter = env.workload("counter", image=BUSYBOX, command=["sh", "-c", script])
        counter.start()
        counter.wait_running()
        go.touch()
        assert list(counter.follow_logs()) == ["1", "2", "3"]
        status = counter.wait_exited()
        assert status.container is not None
        assert status.container.exit_code == 0
        assert counter.logs(tail=1) == "3\n"
        counter.restart()
        go.touch()
        assert list(counter.follow_logs()) == ["1", "2", "3"] * 2


def test_directories_are_the_same_inside_and_outside() -> None:
    with Environment(timeout=100) as env:
        script = (
            "echo from the container > $DIR/out; chmod 600 $DIR/out; mkdir $DIR/deep; touch $DIR/deep/file"
        )
        writer = env.workload("writer", image=BUSYBOX, command=until_stopped(script))
        written = e2e.ExecProbe(command=("test", "-e", f"{writer.dir}/deep/file"))
        writer.update(env={"DIR": str(writer.dir)}, readiness=written)
        reader = env.workload("reader", image=BUSYBOX, command=until_stopped(), user="65534")
        given = reader.write_file("conf/given.txt", "from the test")
        env.start_and_wait_ready(writer, reader)
        assert reader.exec(["cat", str(given)]).stdout_text == "from the test"
        reader.exec(["sh", "-c", f"echo nobody > {reader.dir}/mine"])
        assert (reader.dir / "mine").read_text() == "nobody\n"
        assert writer.exec(["ls", str(env.shared_dir)]).stdout_text.split() == ["reader", "writer"]
        assert (writer.dir / "out").read_text() == "from the container\n"
        shared = env.shared_dir
    assert not shared.exists()


def test_a_link_that_a_container_made_leads_nowhere(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with Environment(timeout=100) as env:
        box = env.workload("box", image=BUSYBOX, command=until_stopped())
        box.start_and_wait_ready()
        box.exec(["sh", "-c", f"cd {box.dir} && ln -s {tmp_path} inner"])
        with pytest.raises(Conflict, match="inner is a link"):
            box.write_file("inner/file", "from the test")
        box.exec(["sh", "-c", f"cd {env.shared_dir} && rm -r box && ln -s {tmp_path} box"])
        with pytest.raises(Conflict, match="box is a link"):
            _ = box.dir
        with pytest.raises(Conflict, match="box is a link"):
            box.write_file("file", "from the test")
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


def test_environments_are_worlds_of_their_own() -> None:
    with Environment(timeout=100) as one, Environment(timeout=100) as two:
        first, second = web_server(one, "web"), web_server(two, "web")
        client = two.workload("client", image=BUSYBOX, command=until_stopped())
        first.start_and_wait_ready()
        two.start_and_wait_ready(second, client)
        assert first.endpoint("http") != second.endpoint("http")
        address = second.internal_endpoint("http")
        assert client.exec(["wget", "-qO-", f"http://{address}/index.html"]).stdout_text == "I am web\n"
        second.stop()
        assert client.exec(["wget", "-qO-", f"http://{address}/index.html"], check=False).exit_code != 0
        assert first.is_running()
