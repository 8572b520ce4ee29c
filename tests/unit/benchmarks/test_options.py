import pytest

from benchmarks.options import Options, parse

NAMES = ["fleet", "start"]


def test_without_arguments_everything_is_measured() -> None:
    assert parse([], NAMES) == Options()


def test_lists_and_repeated_options() -> None:
    options = parse(["--only", "start", "--only", "fleet", "--sizes", "3,7", "--rounds", "2"], NAMES)
    assert (options.only, options.sizes, options.rounds_for(40)) == (("start", "fleet"), (3, 7), 2)


def test_a_single_workload_gets_more_rounds() -> None:
    options = Options()
    assert [options.rounds_for(size) for size in (1, 10, 40)] == [15, 5, 5]


def test_quick_is_less_of_everything() -> None:
    options = parse(["--quick", "--sizes", "40"], NAMES)
    assert (options.sizes, options.trials, options.manifests) == ((40,), 5, 100)
    assert parse(["--quick"], NAMES).sizes == (1, 10)
    assert options.rounds_for(10) == 1


def test_beside_peers_fleets_are_larger() -> None:
    options = parse(["--peers"], NAMES)
    assert (options.peers, options.sizes, options.peers_rest) == (True, (1, 10, 40, 100), (40, 200))
    assert parse(["--peers", "--sizes", "3"], NAMES).sizes == (3,)
    assert parse(["--peers", "--quick"], NAMES).peers_rest == (5,)


@pytest.mark.parametrize(
    "arguments", [["--only", "nothing"], ["--sizes", "0"], ["--sizes", "a"], ["--rounds", "-1"]]
)
def test_wrong_arguments_end_it(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(arguments, NAMES)
    assert arguments[0] in capsys.readouterr().err


def test_the_options_can_be_written_down() -> None:
    document = Options().document()
    assert (document["output"], document["sizes"]) == ("bench-results", (1, 10, 40))
