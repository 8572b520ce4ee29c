"""What somebody may have meant who waits for what is not there."""

import pytest

from e2e_controller.metrics import (
    LabelMatcher,
    MatchType,
    Page,
    Selection,
    ValueType,
    hints_of,
    label_misses,
)

PAGE = Page("""
# TYPE requests counter
requests_total{code="200",method="get"} 5
requests_total{code="404",method="get"} 1
requests_total{code="500"} 1
# TYPE latency histogram
latency_sum{path="/"} 1.5
latency_count{path="/"} 3
plain 1
""")


def matcher(text: str) -> LabelMatcher:
    name, value = text.split("=", 1)
    return LabelMatcher(name, MatchType.EQUAL, value)


@pytest.mark.parametrize(
    ("name", "given", "misses"),
    [
        ("requests_total", ["cod=200"], [(True, ("code", "method"))]),
        ("requests", ["code=20"], [(False, ("200", "404", "500"))]),
        ("requests", ["code=501", "metod=get"], [(False, ("500", "200", "404")), (True, ("method", "code"))]),
        ("requests", ["code=200", "method=get"], []),
        ("requests", ["code=500", "method=get"], []),  # each is there, but not together
        ("latency", ["pth=/"], [(True, ("path",))]),
        ("plain", ["x=1"], [(True, ())]),
        ("nothing", ["x=1"], None),
    ],
)
def test_labels_that_are_misspelt(
    name: str, given: list[str], misses: list[tuple[bool, tuple[str, ...]]] | None
) -> None:
    found = label_misses(PAGE, name, [matcher(text) for text in given])
    assert (None if found is None else [(miss.unknown_label, miss.there) for miss in found]) == misses


def test_few_values_are_told_of_many() -> None:
    page = Page("".join(f'm{{path="/{number}"}} 1\n' for number in range(2000)))
    (miss,) = label_misses(page, "m", [matcher("path=/x7")]) or ()
    assert len(miss.there) == 5
    assert "/7" in miss.there


def test_all_hints_of_a_page() -> None:
    selection = Selection(("requests_total", "latncy", "latency"), (matcher("code=2"),), ValueType.COUNT)
    hints = hints_of(PAGE, selection)
    assert hints.similar == ("latency",)
    assert [(miss.name, miss.unknown_label) for miss in hints.label_misses] == [
        ("requests_total", False),
        ("latency", True),
    ]
    hints = hints_of(PAGE, Selection(("requests", "latency"), (), ValueType.VALUE))
    assert (hints.similar, hints.label_misses) == ((), ())
    assert [len(sum_.values) for sum_ in hints.sums] == [3, 1]
    assert hints.sums[1].values == {("latency_sum", (("path", "/"),)): 1.5}
