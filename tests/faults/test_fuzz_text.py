"""Manifests and metrics pages that nobody would write: the corpus, and what small changes make of it.

What a run finds goes into `corpus/`, as a file whose name says what it is about.
"""

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from e2e_api.manifests import KINDS, to_document
from e2e_api.parsing import parse_documents
from e2e_api.problems import UnreadableError
from e2e_controller.metrics import (
    LabelMatcher,
    MatchType,
    Page,
    ScrapeError,
    Selection,
    hints_of,
    select,
    series,
    similar_names,
)
from e2e_controller.metrics.page import ensure_metrics

from .engine import soak

CORPUS = Path(__file__).parent / "corpus"
MANIFESTS = sorted((CORPUS / "manifests").iterdir())
PAGES = sorted((CORPUS / "metrics").iterdir())
EXAMPLES = soak("EXAMPLES", 150)
FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
TOKENS = [
    *b"{ } [ ] : - &a *a !! --- | > << ? 1e9 spec NaN le= , # \\".split(),
    *(b"\n", b" 1\n", b"  ", b"\t", b"\0", b"\xff", b"---\n", b'"', b"'"),
]


@st.composite
def changed(draw: st.DrawFn, paths: list[Path]) -> bytes:
    """A file of the corpus with pieces put in, taken out, doubled, or mixed with those of another."""
    data = draw(st.sampled_from(paths)).read_bytes()[:3000]
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        piece = draw(st.sampled_from(TOKENS) | st.binary(max_size=4) | st.just(data[start:end] * 2))
        data = data[:start] + piece + data[end:]
    if draw(st.booleans()):
        other = draw(st.sampled_from(paths)).read_bytes()[:3000]
        data = data[: draw(st.integers(0, len(data)))] + other
    return data


def check_manifests(data: bytes) -> None:
    """Parsing ends in documents that say what they are, or why they are not; never in another exception."""
    try:
        documents = parse_documents(data)
    except UnreadableError:
        return
    for document in documents:
        assert (document.manifest is None) == bool(document.problems)
        assert all(str(problem) for problem in document.problems)
        if document.manifest is not None:
            again = KINDS[document.manifest.kind].model_validate(to_document(document.manifest))
            assert again == document.manifest, "what is written down must mean the same when read again"


def check_page(text: str) -> None:
    """All is a value or a `ScrapeError`; and what both parsers accept, both understand alike."""
    page = Page(text)
    try:
        ensure_metrics(page)
        found = series(page)
        for name in {one.name for one in found}:
            select(page, [name])
        similar_names(page, "up")
        asked = ("up", *{one.name for one in found[:3]})
        hints_of(page, Selection(asked, (LabelMatcher("code", MatchType.EQUAL, "200"),)))
    except ScrapeError:
        return
    try:
        theirs = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except Exception:  # it refuses more than we do, with whatever its code happens to raise
        return
    ours = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in found}
    for sample in theirs:
        value = ours.get((sample.name, tuple(sorted(sample.labels.items()))))
        if value is not None and not math.isnan(sample.value):
            assert value == sample.value or count_of(theirs, sample) > 1


def count_of(samples: list, sample: object) -> int:  # type: ignore[type-arg]
    return sum((one.name, one.labels) == (sample.name, sample.labels) for one in samples)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_corpus_of_manifests(path: Path) -> None:
    check_manifests(path.read_bytes())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_corpus_of_pages(path: Path) -> None:
    check_page(path.read_text())


@given(changed(MANIFESTS))
@FUZZ
def test_changed_manifests(data: bytes) -> None:
    check_manifests(data)


@given(changed(PAGES).map(lambda data: data.decode("utf-8", "replace")))
@FUZZ
def test_changed_pages(text: str) -> None:
    check_page(text)
