"""A service that is ready as soon as it listens: from then to the moment at which a waiter is told.

Nothing on the host makes it ready, so it writes the moment down itself: it touches a file once it listens.
The file's time, which the kernel sets to within 4 ms, is compared with the waiter's clock. Most of what is
measured is the engine's: its start call returns only some time after the program has begun. So the floor is
the same, with docker-py.
"""

import time
from collections.abc import Callable
from pathlib import Path

import e2e
from benchmarks.bench import Bench
from benchmarks.contenders import PAGE, PORT, Floor, floor, server_options, wait_for_page
from benchmarks.report import Findings, Line
from e2e.statistics import median

_MARK = "listens"


def run(bench: Bench) -> Findings:
    """One line."""
    options, findings = bench.options, Findings()
    ours: list[float] = []
    direct: list[float] = []
    trials = max(2, options.trials // 5)
    with (
        bench.environment("at-once") as environment,
        floor(bench.engine, bench.run, options.image, options.threads) as engine,
    ):
        for number in range(trials):
            bench.say(f"ready at once, trial {number + 1} of {trials}")
            through_sdk = _through_sdk(environment, options.image, number)
            by_hand = _by_hand(engine, bench.folder / f"at-once-{number}", number)
            for samples, trial in ((ours, through_sdk), (direct, by_hand)):
                samples.append(1000 * trial())
    findings.keep("e2e_ms", ours, floor="floor_ms")
    findings.keep("floor_ms", direct)
    findings.add(
        Line(
            what="service listens at once, to waiter told",
            value=median(ours),
            unit="ms",
            count=trials,
            spread=(min(ours), max(ours)),
            floor=median(direct),
            ratio=median(ours) / median(direct),
        )
    )
    return findings


def _command(folder: Path) -> list[str]:
    """The mark comes first: whoever is quick would look for it in vain."""
    return ["sh", "-c", 'touch "$1" && exec httpd -f -p "$2" -h /etc', "sh", str(folder / _MARK), str(PORT)]


def _through_sdk(environment: e2e.Environment, image: str, number: int) -> Callable[[], float]:
    name = f"at-once-{number}"
    options = server_options(image)
    options["command"] = _command(environment.shared_dir / name)
    workload = environment.workload(name, **options)

    def trial() -> float:
        workload.start_and_wait_ready()
        told = time.time()
        lag = told - (workload.dir / _MARK).stat().st_mtime
        workload.remove()
        return lag

    return trial


def _by_hand(engine: Floor, folder: Path, number: int) -> Callable[[], float]:
    folder.mkdir(mode=0o777)

    def trial() -> float:
        name = f"{engine.run}-at-once-{number}"
        address = engine.start(name, _command(folder), [f"{folder}:{folder}"])
        wait_for_page(address, PAGE)
        told = time.time()
        lag = told - (folder / _MARK).stat().st_mtime
        engine.remove(name)
        return lag

    return trial
