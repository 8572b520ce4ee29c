"""What errors say, when a program or an image is not as it should be."""

import time

import pytest
from apis import until
from small import BUSYBOX, until_stopped

import e2e
from e2e import Environment, NotFound, WaitFailed, WaitTimeout


def test_a_container_that_dies_ends_the_wait_with_its_last_words() -> None:
    with Environment(timeout=100) as env:
        script = "for i in $(seq 40); do echo line $i; done; sleep 0.3; exit 3"
        broken = env.workload(
            "broken",
            image=BUSYBOX,
            command=["sh", "-c", script],
            ports={"http": 80},
            readiness=e2e.TcpProbe(port="http"),
        )
        started = time.monotonic()
        with pytest.raises(WaitFailed) as raised:
            broken.start_and_wait_ready()
        assert time.monotonic() - started < 60  # not at the deadline
        text = str(raised.value)
        assert text.startswith("broken (environment test-a-container-that-dies")
        assert " is not ready: it can no longer be, known after " in text
        assert "Exited: exited with code 3" in text
        assert "      line 21\n" in text
        assert text.endswith("      line 40")
        assert "line 20\n" not in text


def test_an_image_that_does_not_exist_is_named() -> None:
    with Environment(timeout=60) as env:
        missing = env.workload(
            "missing", image="localhost:1/e2e/no-such-image:v1", image_pull_policy="IfNotPresent"
        )
        good = env.workload("good", image=BUSYBOX, command=until_stopped())
        with pytest.raises(WaitFailed, match=r"missing: ImagePullFailed: (?s:.*)no-such-image"):
            env.start_and_wait_ready(missing, good)
        good.wait_ready()


def test_a_program_that_never_gets_ready_shows_its_probe() -> None:
    with Environment(timeout=100) as env:
        slow, slower = (
            env.workload(
                name,
                image=BUSYBOX,
                command=until_stopped(),
                ports={"http": 80},
                readiness=e2e.HttpProbe(port="http", path="/ready"),
                startup_timeout=seconds,
            )
            for name, seconds in (("slow", 10), ("slower", 250))
        )
        slow.start()
        slower.start()
        until(lambda: slower.status().last_probe, lambda probe: probe is not None and probe.answer)
        with pytest.raises(WaitTimeout, match=r"waited [\d.]+ s(?s:.*)(ProbeFailed|last probe.*): .*/ready"):
            slower.wait_ready(timeout=2)
        with pytest.raises(WaitFailed, match=r"slow: ProbeTimeout: .*/ready: "):
            slow.wait_ready()


def test_a_wait_for_what_was_never_started_fails_at_once() -> None:
    with Environment(timeout=100) as env:
        ghost = env.workload("ghost", image=BUSYBOX)
        with pytest.raises(NotFound, match="ghost"):
            ghost.wait_ready()
        with pytest.raises(NotFound, match="ghost"):
            ghost.exec(["true"])


def test_a_command_that_is_not_there_is_named() -> None:
    with Environment(timeout=100) as env:
        broken = env.workload("broken", image=BUSYBOX, command=["no-such-program"])
        with pytest.raises(WaitFailed, match=r"(?s)broken: \w+: .*no-such-program"):
            broken.start_and_wait_ready()
        box = env.workload("box", image=BUSYBOX, command=until_stopped())
        box.start_and_wait_ready()
        result = box.exec(["no-such-program"], check=False)
        assert result.exit_code in (126, 127)


def test_a_waiter_is_told_when_somebody_stops_it() -> None:
    with Environment(timeout=100) as env:
        box = env.workload("box", image=BUSYBOX, command=until_stopped())
        box.start_and_wait_ready()
        box.stop()
        started = time.monotonic()
        with pytest.raises(WaitFailed, match="box"):
            env.wait_ready("box")
        assert time.monotonic() - started < 60  # not at the deadline
