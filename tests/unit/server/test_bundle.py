"""What a bundle holds, what it hides, and what it says of what could not be had."""

import json

import grpc
import pytest

from e2e_api.errors import NotFound
from e2e_api.v1 import evidence_service_pb2, evidence_service_pb2_grpc
from e2e_controller.drivers.base import DriverError, Key
from e2e_controller.server.gathering import _Tail

from .conftest import Client, Harness, checked, document, key

WEB = Key("test", "Workload", "web")
SECRET = 'hunt"er22'


async def gather(harness: Harness, environment: str = "test", log_bytes: int = 0) -> dict[str, bytes]:
    request = evidence_service_pb2.CollectEvidenceRequest(environment=environment, log_bytes=log_bytes)
    found: dict[str, bytes] = {}
    async with grpc.aio.insecure_channel(harness.manager.addresses[0]) as channel:
        stub = evidence_service_pb2_grpc.EvidenceServiceStub(channel)
        call = stub.CollectEvidence(request, timeout=60)
        while (response := await checked(call.read())) is not grpc.aio.EOF:
            found[response.path] = found.get(response.path, b"") + response.data
    return found


async def test_a_bundle_holds_all_that_is_known_without_secrets(client: Client, harness: Harness) -> None:
    harness.write("test/broken.yaml", "kind: [")
    await client.apply(
        document(env={"DB_PASSWORD": SECRET}, ports={"http": 80}, metrics={"port": "http"}), document("db")
    )
    await client.wait(key(), key("db"))
    harness.driver.log(WEB, f"connecting with {SECRET}\n".encode())
    await client.apply(document(env={"DB_PASSWORD": SECRET}), document("db"))
    await client.wait(key(), key("db"))
    harness.driver.log(WEB, f"again with {SECRET}\n".encode())
    found = await gather(harness)
    assert list(found)[-1] == "index.txt"
    assert {
        "manifests/Workload.web.yaml",
        "status/Workload.web.json",
        "status/Environment.test.json",
        "status/File.test_broken.yaml.json",
        "events.json",
        "logs/web.log",
        "logs/web.previous.log",
        "inspect/web.json",
        "logs/db.log",
        "inspect/db.json",
        "controller/about.json",
        "controller/metrics.txt",
    } <= set(found)
    assert found["logs/web.log"].endswith(b"again with ********\n")
    assert found["logs/web.previous.log"] == b"connecting with ********\n"
    assert json.loads(found["controller/about.json"])["engine"]["name"] == "fake"
    assert [e["reason"] for e in json.loads(found["events.json"])].count("Create") == 3
    for path, data in found.items():
        assert SECRET.encode() not in data, path
        assert json.dumps(SECRET)[1:-1].encode() not in data, path


async def test_an_engine_that_is_gone_does_not_stop_it(client: Client, harness: Harness) -> None:
    await client.apply(document(ports={"http": 80}, metrics={"port": "http"}))
    await client.wait()
    harness.driver.exit(WEB, 3, b"the last words\n")
    await client.wait(goal=6)
    harness.driver.available = False
    found = await gather(harness)
    harness.driver.available = True
    assert found["logs/web.log"] == b"the last words\n"
    assert "inspect/web.json" not in found
    index = found["index.txt"].decode()
    assert "Not to be had:\n  inspect/web.json: the fake engine does not answer" in index
    assert "metrics/web.txt: test/Workload/web does not run yet" in index
    assert json.loads(found["controller/about.json"])["engine"]["name"] == "fake"


async def test_a_log_that_breaks_off_is_told(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    harness.driver.fail("logs", DriverError("the log is on the moon"))
    found = await gather(harness)
    assert "logs/web.log: the log is on the moon" in found["index.txt"].decode()


async def test_an_environment_that_is_not_there(client: Client, harness: Harness) -> None:
    with pytest.raises(NotFound, match="environment ghost does not exist"):
        await gather(harness, "ghost")


async def test_long_logs_are_cut_at_a_line(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    harness.driver.log(WEB, b"".join(b"line %d\n" % number for number in range(1000)))
    found = await gather(harness, log_bytes=500)
    assert len(found["logs/web.log"]) <= 500
    assert found["logs/web.log"].endswith(b"line 999\n")
    assert b"(the end of " in found["index.txt"]


def test_a_tail_keeps_no_more_than_it_needs() -> None:
    tail = _Tail(10)
    for number in range(1000):
        tail.add(b"%04d\n" % number)
        assert len(tail._pieces) <= 3
    assert tail.is_cut
    assert tail.data() == b"0999\n"
    whole = _Tail(10)
    whole.add(b"ab\ncd")
    assert whole.data() == b"ab\ncd"
