"""Who takes part, started and ended; and what is left behind by one that crashed."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import docker.errors
from docker import APIClient

import e2e
from benchmarks.bench import Bench, engine_url
from benchmarks.contenders import floor
from benchmarks.controller_process import ControllerProcess
from benchmarks.peers import installed as peers
from benchmarks.peers.contenders import Compose, Direct, Driven, DrivenGo, Ours, Peer
from benchmarks.peers.process import DriverProcess

_RYUK = "testcontainers/ryuk:0.8.1"
"""Which that version of testcontainers asks for."""
_SWEEPS, _SWEEP_PAUSE = 10, 2.0
IN_THREADS = "testcontainers in threads"


@dataclass(frozen=True, slots=True)
class LineUp:
    """Who takes part, in the order of a round; `note` tells who does not, and why."""

    peers: tuple[Peer, ...]
    note: str

    def only(self, *names: str) -> tuple[Peer, ...]:
        """Those of them."""
        return tuple(peer for peer in self.peers if peer.name in names)

    def but(self, *names: str) -> tuple[Peer, ...]:
        """All others."""
        return tuple(peer for peer in self.peers if peer.name not in names)


@contextmanager
def line_up(bench: Bench, scenario: str) -> Iterator[LineUp]:
    """The floor first, then e2e with a controller of its own, then all peers that are installed."""
    found = peers.installed()
    notes = [f"{name} is left out: {peer.missing}" for name, peer in found.items() if peer.missing]
    with ExitStack() as stack:
        shared = bench.folder / f"peers-{scenario}"
        shared.mkdir(mode=0o777)
        direct = stack.enter_context(
            floor(bench.engine, bench.run, bench.options.image, bench.options.threads)
        )
        members: list[Peer] = [Direct(direct, shared), stack.enter_context(_ours(bench, scenario))]
        for name, peer in found.items():
            if not peer.missing:
                members += _start(stack, bench, name, peer, shared)
        if not found[peers.TESTCONTAINERS].missing and not _has_ryuk(bench.engine):
            notes.append(f"testcontainers runs without its Ryuk: {_RYUK} is not here")
        yield LineUp(tuple(members), "; ".join(notes))


@contextmanager
def _ours(bench: Bench, scenario: str) -> Iterator[Ours]:
    state = bench.state_folder(f"peers-{scenario}-controller")
    with (
        ControllerProcess(state) as controller,
        bench.environment(f"peers-{scenario}", controller.address) as environment,
        e2e.Client.connect(controller.address) as client,
    ):
        yield Ours(environment, client, controller)


def _start(stack: ExitStack, bench: Bench, name: str, peer: peers.Installed, shared: Path) -> Iterator[Peer]:
    variables = {"DOCKER_HOST": engine_url()}
    prefix = f"{bench.run}-{name[:2]}"  # the Go framework allows 16 characters
    stack.push(_Sweep(bench, prefix))
    if name == peers.COMPOSE:
        yield Compose(peer.command, prefix, shared, variables)
    elif name == peers.EFFICIENTGO:
        variables["E2E_TEMP_DIR"] = str(shared)
        yield DrivenGo(
            name, _driver(stack, bench, name, peer.command, variables), prefix, shared, _pid(bench)
        )
    else:
        variables |= {"RYUK_CONTAINER_IMAGE": _RYUK}
        variables |= {} if _has_ryuk(bench.engine) else {"TESTCONTAINERS_RYUK_DISABLED": "true"}
        for called, threads in ((name, 1), (IN_THREADS, bench.options.threads)):
            process = _driver(stack, bench, called, (*peer.command, str(threads)), variables)
            yield Driven(called, process, prefix, shared, _pid(bench))


def _driver(
    stack: ExitStack, bench: Bench, name: str, command: tuple[str, ...], variables: Mapping[str, str]
) -> DriverProcess:
    log = bench.folder / f"{name}.log"
    return stack.enter_context(DriverProcess(command, log, variables))


def _pid(bench: Bench) -> Callable[[str], int]:
    return lambda container: int(bench.engine.inspect_container(container)["State"]["Pid"])


def _has_ryuk(engine: APIClient) -> bool:
    return bool(engine.images(name=_RYUK, quiet=True))


@dataclass(frozen=True, slots=True)
class _Sweep:
    """The end of a peer's part.

    Where something broke, the engine may still be at what the peer asked for: then it takes two looks, one
    after the other, that find nothing.
    """

    bench: Bench
    prefix: str

    def __call__(self, failure: type[BaseException] | None, *_: object) -> None:
        again = failure is not None
        for _look in range(_SWEEPS):
            found = remove_named(self.bench.engine, self.prefix)
            for thing in found:
                self.bench.say(f"a peer left behind: {thing}")
            if not found and not again:
                return
            again = bool(found)
            time.sleep(_SWEEP_PAUSE)


def remove_named(engine: APIClient, prefix: str) -> list[str]:
    """Removes what a peer made and did not remove, by its names: not all peers can set labels."""
    found = []
    for item in engine.containers(all=True, filters={"name": prefix}):
        name = item["Names"][0].lstrip("/")
        if name.startswith(prefix):
            failure = _attempt(engine.remove_container, item["Id"], v=True, force=True)
            found.append(f"container {name}{failure}")
    for item in engine.networks(names=[prefix]):
        if item["Name"].startswith(prefix):
            failure = _attempt(engine.remove_network, item["Id"])
            found.append(f"network {item['Name']}{failure}")
    return found


def _attempt(call: Callable[..., object], *arguments: str, **options: bool) -> str:
    """Why it could not be done; nothing where it could, or where somebody else does it."""
    try:
        call(*arguments, **options)
    except docker.errors.NotFound:
        return ""
    except docker.errors.APIError as error:
        return "" if error.status_code == HTTPStatus.CONFLICT else f", which stays: {error}"
    return ""
