"""A scraper for pages that are served by this very process, on a machine that may stop now and then."""

from e2e_controller.metrics import Page, Scraper, Visitor
from e2e_controller.metrics.visitor import ANYBODY


class PatientScraper(Scraper):
    """Where no test says otherwise, it waits for long."""

    async def fetch(self, url: str, timeout: float = 60.0, visitor: Visitor = ANYBODY) -> Page:
        return await super().fetch(url, timeout, visitor)
