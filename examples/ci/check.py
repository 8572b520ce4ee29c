"""A test that a CI job runs: with `pytest examples/ci/check.py`, or as a program where there is no pytest.

`E2E_CONTROLLER` says where the controller is; without it, one is started here.
"""

from urllib.request import urlopen

import e2e

SERVE = "mkdir /www && echo hello >/www/index.html && exec httpd -f -p 80 -h /www"


def test_a_server_answers() -> None:
    with e2e.Environment() as env:
        web = env.workload(
            "web",
            image="docker.io/library/busybox:1.36",
            command=["sh", "-c", SERVE],
            ports={"http": 80},
            readiness=e2e.HttpProbe(port="http", path="/index.html"),
        )
        env.start_and_wait_ready(web)

        with urlopen(f"http://{web.endpoint('http')}/index.html", timeout=30) as answer:
            assert answer.read() == b"hello\n"
        assert web.exec(["hostname"]).stdout


if __name__ == "__main__":
    test_a_server_answers()
    print("passed")
