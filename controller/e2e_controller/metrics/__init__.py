"""Metrics of workloads: fetch a page, sum what was asked for, judge the sums, watch them.

A sum is over all series of a family that match. An absent metric is absent, never 0.
"""

from e2e_controller.metrics.expectations import AbsentMetric, Expectation, ExpectationType
from e2e_controller.metrics.matchers import LabelMatcher, MatchType
from e2e_controller.metrics.page import Page, ScrapeError, Series
from e2e_controller.metrics.scraper import Scraper
from e2e_controller.metrics.selection import (
    AbsentPolicy,
    Selection,
    Sum,
    ValueType,
    select,
    series,
    similar_names,
)
from e2e_controller.metrics.visitor import Visitor, visitor_of
from e2e_controller.metrics.watching import History, Sample, scrape, watch

__all__ = [
    "AbsentMetric",
    "AbsentPolicy",
    "Expectation",
    "ExpectationType",
    "History",
    "LabelMatcher",
    "MatchType",
    "Page",
    "Sample",
    "ScrapeError",
    "Scraper",
    "Selection",
    "Series",
    "Sum",
    "ValueType",
    "Visitor",
    "scrape",
    "select",
    "series",
    "similar_names",
    "visitor_of",
    "watch",
]
