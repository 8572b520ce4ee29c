from benchmarks.scenarios.rest import lines


def test_fewer_workloads_are_judged_in_proportion() -> None:
    found = {line.what: (round(line.value, 3), line.met) for line in lines(40, [0.0, 0.006], 80.0, 82.0)}
    assert found == {
        "40 workloads at rest, of one core": (0.3, None),
        "40 workloads at rest, resident memory": (82.0, None),
        "resident memory without workloads": (80.0, None),
        "in proportion, 200 workloads at rest, of one core": (1.5, False),
        "in proportion, 200 workloads at rest, resident memory": (90.0, True),
    }


def test_as_many_as_the_budget_names_are_judged_as_measured() -> None:
    found = {line.what: line.met for line in lines(200, [0.0, 0.01], 80.0, 101.0)}
    assert found == {
        "200 workloads at rest, of one core": True,
        "200 workloads at rest, resident memory": False,
        "resident memory without workloads": None,
    }


def test_from_a_few_nothing_is_concluded() -> None:
    assert [line.met for line in lines(5, [0.0, 0.01], 80.0, 82.0)] == [None, None, None]
