"""Metrics of workloads: fetch a page, sum what was asked for, judge the sums, watch them.

A sum is over all series of a family that match. An absent metric is absent, never 0.
"""

from e2e_controller.metrics.changes import Baseline, Changes, Increases
from e2e_controller.metrics.expectations import AbsentMetric, Expectation, ExpectationType, Measure
from e2e_controller.metrics.hints import Hints, LabelMiss, hints_of, label_misses, similar_names
from e2e_controller.metrics.matchers import LabelMatcher, MatchType
from e2e_controller.metrics.page import Origin, Page, ScrapeError, Series
from e2e_controller.metrics.scraper import Scraper
from e2e_controller.metrics.selection import (
    AbsentPolicy,
    Selection,
    SeriesKey,
    Sum,
    ValueType,
    select,
    series,
)
from e2e_controller.metrics.visitor import Visitor, visitor_of
from e2e_controller.metrics.watching import (
    History,
    Part,
    Sample,
    scrape,
    scrape_all,
    utc_now,
    watch,
)

__all__ = [
    "AbsentMetric",
    "AbsentPolicy",
    "Baseline",
    "Changes",
    "Expectation",
    "ExpectationType",
    "Hints",
    "History",
    "Increases",
    "LabelMatcher",
    "LabelMiss",
    "MatchType",
    "Measure",
    "Origin",
    "Page",
    "Part",
    "Sample",
    "ScrapeError",
    "Scraper",
    "Selection",
    "Series",
    "SeriesKey",
    "Sum",
    "ValueType",
    "Visitor",
    "hints_of",
    "label_misses",
    "scrape",
    "scrape_all",
    "select",
    "series",
    "similar_names",
    "utc_now",
    "visitor_of",
    "watch",
]
