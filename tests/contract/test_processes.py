"""Commands in containers, logs, copies."""

import asyncio
import io
import tarfile
import time
from datetime import UTC, datetime

import pytest

from e2e_controller.drivers.base import (
    ContainerGone,
    DriverError,
    ExitCode,
    FileContent,
    Mount,
    NoSuchPath,
    Output,
    ReadOnly,
    SpecRefused,
)
from e2e_controller.drivers.docker import DockerDriver
from tests.contract import scripts
from tests.contract.bench import Bench, eventually, finish, pieces

MEGABYTE = 2**20


async def test_exec_tells_outputs_apart_and_the_exit_code(bench: Bench) -> None:
    container_id = await bench.up()
    result = await bench.run(container_id, *scripts.BOTH_STREAMS.command)
    assert result == (b"out\n", b"err\n", 3)


async def test_exec_of_something_short_loses_nothing(bench: Bench) -> None:
    container_id = await bench.up()
    for number in range(20):
        assert await bench.run(container_id, "echo", str(number)) == (f"{number}\n".encode(), b"", 0)


async def test_exec_env_user_and_working_directory(bench: Bench) -> None:
    container_id = await bench.up(env={"GREETING": "no", "OTHER": "x"})
    options = {"env": {"GREETING": "hello"}, "user": "1234", "working_dir": "/tmp"}
    out, _, code = await bench.run(container_id, *scripts.SURROUNDINGS.command, **options)
    assert (out, code) == (b"hello|1234|/tmp\n", 0)


async def test_exec_without_input_sees_its_end(bench: Bench) -> None:
    container_id = await bench.up()
    assert await bench.run(container_id, "cat") == (b"", b"", 0)


async def test_exec_input_and_its_end(bench: Bench) -> None:
    container_id = await bench.up()
    session = await bench.driver.exec(container_id, ["cat"], stdin=True)
    await session.write(b"one ")
    await session.write(b"\x00two")
    await session.close_stdin()
    assert await finish(session) == (b"one \x00two", b"", 0)


async def test_exec_echoes_while_input_is_open(bench: Bench) -> None:
    container_id = await bench.up()
    session = await bench.driver.exec(container_id, ["cat"], stdin=True)
    output = aiter(session)
    for text in (b"first\n", b"second\n"):
        await session.write(text)
        assert await anext(output) == Output("stdout", text)
    await session.close_stdin()
    assert await anext(output) == ExitCode(0)
    with pytest.raises(StopAsyncIteration):
        await anext(output)


async def test_exec_of_binary_data(bench: Bench) -> None:
    container_id = await bench.up()
    assert await bench.run(container_id, *scripts.BINARY.command) == (bytes(range(256)) * 4, b"", 0)


async def test_exec_of_much_data_both_ways(bench: Bench) -> None:
    container_id = await bench.up()
    session = await bench.driver.exec(container_id, ["cat"], stdin=True)
    block = bytes(range(256)) * (MEGABYTE // 256)

    async def send() -> None:
        for _ in range(16):
            await session.write(block)
        await session.close_stdin()

    sending = asyncio.create_task(send())
    out, err, code = await finish(session)
    await sending
    assert (err, code) == (b"", 0)
    assert out == block * 16


async def test_exec_holds_a_command_whose_output_nobody_reads(bench: Bench) -> None:
    """Nothing piles up in this process: the writer has to wait."""
    container_id = await bench.up()
    session = await bench.driver.exec(container_id, ["cat"], stdin=True)
    sent = 0

    async def send() -> None:
        nonlocal sent
        while True:
            await session.write(bytes(MEGABYTE))
            sent += 1

    sending = asyncio.create_task(send())
    await quiet(lambda: sent)
    assert sent < 32
    sending.cancel()
    await session.close()


async def test_exec_of_a_hundred_megabytes(docker_bench: Bench) -> None:
    container_id = await docker_bench.up()
    session = await docker_bench.driver.exec(container_id, ["head", "-c", "100m", "/dev/zero"])
    length, largest = 0, 0
    async for piece in session:
        if isinstance(piece, Output):
            length, largest = length + len(piece.data), max(largest, len(piece.data))
        else:
            assert piece == ExitCode(0)
    assert length == 100 * MEGABYTE
    assert largest <= 64 * 1024


async def test_exec_of_a_program_that_is_not_there(bench: Bench) -> None:
    container_id = await bench.up()
    out, err, code = await bench.run(container_id, "no-such-program")
    assert (out, code) == (b"", 127)
    assert b"executable file not found" in err


async def test_exec_of_what_is_no_program(docker_bench: Bench) -> None:
    container_id = await docker_bench.up()
    out, err, code = await docker_bench.run(container_id, "/etc/passwd")
    assert (out, code) == (b"", 126)
    assert err == b'exec: "/etc/passwd": permission denied\n'


async def test_exec_of_an_unknown_user(docker_bench: Bench) -> None:
    container_id = await docker_bench.up()
    try:
        _, err, code = await docker_bench.run(container_id, "true", user="nobody-here")
    except DriverError as error:
        err, code = str(error).encode(), 126
    assert b"unable to find user" in err
    assert code == 126


async def test_exec_input_after_the_command_has_ended(bench: Bench) -> None:
    container_id = await bench.up()
    session = await bench.driver.exec(container_id, scripts.IGNORE_INPUT.command, stdin=True)
    assert await finish(session) == (b"", b"", 4)
    for _ in range(3):
        await session.write(b"too late")
    await session.close_stdin()
    await session.close()


async def test_exec_ends_when_the_container_is_killed(bench: Bench) -> None:
    container_id = await bench.up()
    session = await bench.driver.exec(container_id, ["cat"], stdin=True)
    await session.write(b"x")
    output = aiter(session)
    assert await anext(output) == Output("stdout", b"x")
    await bench.driver.kill(container_id)
    assert await asyncio.wait_for(anext(output), 60) == ExitCode(137)


async def test_leaving_a_command(bench: Bench) -> None:
    container_id = await bench.up()
    session = await bench.driver.exec(container_id, ["sleep", "1000"])
    await session.close()
    await session.close()
    assert await bench.run(container_id, "echo", "still here") == (b"still here\n", b"", 0)


async def test_many_execs_at_once(bench: Bench) -> None:
    """More than there are threads; each with its input open for as long as all of them live."""
    container_id = await bench.up()
    sessions = [await bench.driver.exec(container_id, ["cat"], stdin=True) for _ in range(24)]
    for number, session in enumerate(sessions):
        await session.write(str(number).encode())
        await session.close_stdin()
    results = await asyncio.gather(*map(finish, sessions))
    assert results == [(str(number).encode(), b"", 0) for number in range(24)]


async def test_logs_of_a_container_that_has_ended(bench: Bench) -> None:
    container_id = await bench.up(command=scripts.THREE_LINES.command)
    await bench.ended()
    assert await bench.log(container_id) == b"one\ntwo\nthree\n"
    assert await bench.log(container_id, follow=True) == b"one\ntwo\nthree\n"
    assert await bench.log(container_id, tail=2) == b"two\nthree\n"
    assert await bench.log(container_id, tail=0) == b""


async def test_logs_tell_outputs_apart(bench: Bench) -> None:
    container_id = await bench.up(command=scripts.BOTH_STREAMS.command)
    await bench.ended()
    found = {piece async for piece in bench.driver.logs(container_id)}
    assert found == {Output("stdout", b"out\n"), Output("stderr", b"err\n")}


async def test_logs_since(bench: Bench) -> None:
    container_id = await bench.up(command=scripts.TRAP_USR1.command)
    await eventually(lambda: bench.log(container_id), lambda text: b"ready" in text)
    middle = datetime.now(UTC)
    await bench.driver.kill(container_id, "SIGUSR1")
    await eventually(lambda: bench.log(container_id), lambda text: b"poked" in text)
    assert await bench.log(container_id, since=middle) == b"poked\n"
    assert await bench.log(container_id, since=datetime.now(UTC)) == b""


async def test_logs_with_timestamps(bench: Bench) -> None:
    container_id = await bench.up(command=scripts.THREE_LINES.command)
    ended = await bench.ended()
    for line in (await bench.log(container_id, timestamps=True)).decode().splitlines():
        stamp, _, text = line.partition(" ")
        assert text in ("one", "two", "three")
        assert ended.created_at <= datetime.fromisoformat(stamp)


async def test_logs_follow_until_the_end(bench: Bench) -> None:
    container_id = await bench.up(command=scripts.LINE_THEN_WAIT.command)
    following = aiter(bench.driver.logs(container_id, follow=True))
    assert await asyncio.wait_for(anext(following), 60) == Output("stdout", b"first\n")
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    assert not waiting.done()
    await bench.driver.stop(container_id, 60)
    assert await asyncio.wait_for(waiting, 60) == Output("stdout", b"last\n")
    with pytest.raises(StopAsyncIteration):
        await anext(following)


async def test_leaving_logs_is_quick(bench: Bench) -> None:
    container_id = await bench.up()

    async def follow() -> None:
        async for _ in bench.driver.logs(container_id, follow=True):
            pass

    following = [asyncio.create_task(follow()) for _ in range(40)]
    await bench.look()
    began = time.monotonic()
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    assert time.monotonic() - began < 20
    await bench.look()


async def test_copies_in_and_out(bench: Bench) -> None:
    container_id = await bench.up(files=(FileContent("/srv/old", b"old"),))
    content = bytes(range(256)) * 4000
    packed = tar({"deep/new": content, "empty": b""})
    await bench.driver.copy_in(
        container_id, "/srv", pieces(*(packed[at : at + 1000] for at in range(0, len(packed), 1000)))
    )
    assert (await bench.run(container_id, "cat", "/srv/deep/new"))[0] == content
    out = b"".join([piece async for piece in bench.driver.copy_out(container_id, "/srv/deep/new")])
    assert untar(out) == {"new": content}
    out = b"".join([piece async for piece in bench.driver.copy_out(container_id, "/srv")])
    assert untar(out) == {"srv/old": b"old", "srv/deep/new": content, "srv/empty": b""}


async def test_copies_also_while_it_does_not_run(bench: Bench) -> None:
    container_id = await bench.create()
    await bench.driver.copy_in(container_id, "/tmp", pieces(tar({"a": b"b"})))
    out = b"".join([piece async for piece in bench.driver.copy_out(container_id, "/tmp/a")])
    assert untar(out) == {"a": b"b"}


async def test_copies_to_and_from_nowhere(bench: Bench) -> None:
    container_id = await bench.up()
    with pytest.raises(NoSuchPath, match="/no/such"):
        await bench.driver.copy_in(container_id, "/no/such", pieces(tar({"a": b"b"})))
    with pytest.raises(NoSuchPath, match="/no/such"):
        _ = [piece async for piece in bench.driver.copy_out(container_id, "/no/such")]
    with pytest.raises(SpecRefused, match="tar"):
        await bench.driver.copy_in(container_id, "/tmp", pieces(b"this is no tar" * 100))


async def test_a_copy_to_where_it_may_only_read(bench: Bench) -> None:
    container_id = await bench.up(mounts=(Mount("data", "/data", read_only=True),))
    with pytest.raises(ReadOnly, match="read-only"):
        await bench.driver.copy_in(container_id, "/data", pieces(tar({"a": b"b"})))


async def test_a_large_copy_to_nowhere_says_so(docker_bench: Bench) -> None:
    container_id = await docker_bench.up()
    sent = (bytes(MEGABYTE) for _ in range(50))
    with pytest.raises(NoSuchPath, match="/no/such"):
        await docker_bench.driver.copy_in(container_id, "/no/such", pieces(*sent))
    assert isinstance(docker_bench.driver, DockerDriver)


def tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def untar(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


async def quiet(number) -> None:
    """Waits until the number has not changed for a while."""
    last, since = number(), time.monotonic()
    while time.monotonic() - since < 0.3:
        await asyncio.sleep(0.02)
        if number() != last:
            last, since = number(), time.monotonic()


async def test_files_are_put_into_a_container_that_runs_and_one_that_does_not(bench: Bench) -> None:
    container_id = await bench.create(files=(FileContent("/srv/app.conf", b"old"),))
    await bench.driver.put_files(container_id, (FileContent("/srv/app.conf", b"new"),))
    assert await content(bench, container_id, "/srv/app.conf") == b"new"
    await bench.driver.start_container(container_id)
    files = (FileContent("/srv/app.conf", b"newer"), FileContent("/made/by/us", b"x", 0o600))
    await bench.driver.put_files(container_id, files)
    assert await content(bench, container_id, "/srv/app.conf") == b"newer"
    assert await content(bench, container_id, "/made/by/us") == b"x"
    await bench.driver.stop(container_id, 0)
    await bench.driver.put_files(container_id, (FileContent("/srv/app.conf", b"last"),))
    await bench.driver.start_container(container_id)
    assert await content(bench, container_id, "/srv/app.conf") == b"last"


async def test_files_for_a_container_that_is_gone(bench: Bench) -> None:
    with pytest.raises(ContainerGone):
        await bench.driver.put_files("0" * 64, (FileContent("/a", b""),))


async def content(bench: Bench, container_id: str, path: str) -> bytes:
    """One file of a container."""
    data = b"".join([piece async for piece in bench.driver.copy_out(container_id, path)])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        file = archive.extractfile(archive.getnames()[0])
        assert file is not None
        return file.read()
