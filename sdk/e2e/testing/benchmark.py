"""Benchmarks as tests: the fixture `e2e_benchmark`, and what it measured told at the end of the run."""

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

import pytest

if TYPE_CHECKING:
    from e2e import AsyncQueries, Queries
    from e2e.benchmark import (
        AsyncMeasuredPhase,
        Comparison,
        MeasuredPhase,
        MeasureOptions,
        Report,
    )

MARKER = "e2e_benchmark"
PROPERTY = "e2e benchmark"
"""Of a test's report: a text to show."""
FOLDER = pytest.StashKey[Path]()
"""Where reports go, in pytest's configuration."""
_MARKER_HELP = (
    f"{MARKER}(repetitions=10, warmup=1, tolerance=0.05): a test that measures, and how it compares; "
    "with `--dist loadgroup`, one xdist worker does them all"
)
_LONGEST_NAME = 120
_MARKER_OPTIONS = {"repetitions", "warmup", "tolerance", "names", "higher_is_better", "about"}


class Benchmark:
    """What a test measures with; its reports are written and told when the test ends."""

    def __init__(self, test: str, file: str, defaults: dict[str, Any], folder: Path | None) -> None:
        self._test = test
        self._file = file
        self._defaults = defaults
        self._folder = folder
        self._phases: list[MeasuredPhase | AsyncMeasuredPhase] = []
        self._comparisons: list[Comparison] = []
        self._written: set[str] = set()

    @overload
    def measure(
        self, monitoring: "Queries", name: str = "", **options: "Unpack[MeasureOptions]"
    ) -> "MeasuredPhase": ...
    @overload
    def measure(
        self, monitoring: "AsyncQueries", name: str = "", **options: "Unpack[MeasureOptions]"
    ) -> "AsyncMeasuredPhase": ...
    def measure(
        self, monitoring: "Queries | AsyncQueries", name: str = "", **options: "Unpack[MeasureOptions]"
    ) -> "MeasuredPhase | AsyncMeasuredPhase":
        """As `e2e.benchmark.measure`; the phase is named after the test unless a name is given."""
        from e2e import benchmark

        phase = benchmark.measure(monitoring, name or self._test, **options)
        self._phases.append(phase)
        return phase

    def compare(self, a: Callable[[], Any], b: Callable[[], Any], **options: Any) -> "Comparison":
        """As `e2e.benchmark.compare`; the marker's arguments are the defaults of the options."""
        from e2e import benchmark

        return self._kept(benchmark.compare(a, b, **{**self._defaults, **options}))

    async def compare_async(self, a: Callable[[], Any], b: Callable[[], Any], **options: Any) -> "Comparison":
        """As `e2e.benchmark.compare_async`; the marker's arguments are the defaults of the options."""
        from e2e import benchmark

        return self._kept(await benchmark.compare_async(a, b, **{**self._defaults, **options}))

    def _kept(self, comparison: "Comparison") -> "Comparison":
        self._comparisons.append(comparison)
        return comparison

    def end(self) -> Iterator[str]:
        """Writes what was measured, where there is a folder for it; a text of each, to be shown."""
        from e2e.benchmark import Report

        measured: list[Report | Comparison] = [*self._reports(), *self._comparisons]
        for each in measured:
            text = each.to_markdown()
            if self._folder is not None:
                name = each.name if isinstance(each, Report) else "-".join(each.names)
                text += f"\n{self._write(each, name)}\n"
            yield text

    def _reports(self) -> "Iterator[Report]":
        from e2e import NotFound

        for phase in self._phases:
            with contextlib.suppress(NotFound):  # it ended by an error
                yield phase.report

    def _write(self, measured: "Report | Comparison", name: str) -> str:
        from e2e_api.errors import InvalidArgument

        file = self._free(self._file if name == self._test else f"{self._file}-{name}")
        assert self._folder is not None  # noqa: S101 - asked before  # nosec B101
        try:
            return f"written: {measured.write(self._folder, file).with_suffix('.html')}"
        except InvalidArgument as error:
            return f"written without a page, as {error}"

    def _free(self, name: str) -> str:
        """A name that nothing of this test has yet: the second of a name gets a `-2`."""
        names = (name, *(f"{name}-{number}" for number in range(2, len(self._written) + 2)))
        free = next(each for each in names if each not in self._written)
        self._written.add(free)
        return free


def configure(config: pytest.Config) -> None:
    """Makes the marker known, and where reports go."""
    config.addinivalue_line("markers", _MARKER_HELP)
    setting = config.getini("e2e_benchmark_dir")
    folder = config.getoption("e2e_benchmark_dir") or (setting and str(config.rootpath / setting))
    if folder:
        config.stash[FOLDER] = Path(folder).absolute()


def group(items: list[pytest.Item]) -> None:
    """One xdist worker does them all with `--dist loadgroup`, so that they do not disturb each other."""
    for item in items:
        if item.get_closest_marker(MARKER) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(MARKER))


@pytest.fixture
def e2e_benchmark(request: pytest.FixtureRequest) -> Iterator[Benchmark]:
    """Measures, as `e2e.benchmark` does; tells what it measured at the end of the run.

    With `--e2e-benchmark-dir` it is written there, too: as JSON, as Markdown and as a page with plots.
    """
    marker = request.node.get_closest_marker(MARKER)
    folder = request.config.stash.get(FOLDER, None)
    test = re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
    benchmark = Benchmark(test, _file_name(request.node.nodeid), _defaults(marker), folder)
    yield benchmark
    for text in benchmark.end():
        request.node.user_properties.append((PROPERTY, text))


def _file_name(test: str) -> str:
    """A name that no other test has; of `tests/test_web.py::test_load` `tests-test_web-test_load`."""
    path, _, within = test.partition("::")
    within = re.sub(r"::|\[", "-", within).removesuffix("]")
    name = f"{path.removesuffix('.py').replace('/', '-')}-{within}"
    safe = re.sub(r"[^\w.-]+", "-", name)
    if safe == name and len(name) <= _LONGEST_NAME:
        return name
    return f"{safe[:_LONGEST_NAME]}-{hashlib.sha256(test.encode()).hexdigest()[:8]}"


def _defaults(marker: pytest.Mark | None) -> dict[str, Any]:
    if marker is None:
        return {}
    if marker.args or not marker.kwargs.keys() <= _MARKER_OPTIONS:
        given = ", ".join([*map(repr, marker.args), *(f"{name}=..." for name in marker.kwargs)])
        raise pytest.UsageError(
            f"@pytest.mark.{MARKER}({given}): it takes {', '.join(sorted(_MARKER_OPTIONS))}"
        )
    return dict(marker.kwargs)


def tell(reporter: pytest.TerminalReporter) -> None:
    """Shows what the run's benchmarks measured."""
    results = [result for results in reporter.stats.values() for result in results]
    told = [
        (result.nodeid, text)
        for result in results
        if isinstance(result, pytest.TestReport) and result.when == "teardown"
        for name, text in result.user_properties
        if name == PROPERTY
    ]
    if told:
        reporter.section("e2e benchmarks")
    for test, text in told:
        reporter.write_line(f"{test}\n")
        reporter.write_line(str(text))
