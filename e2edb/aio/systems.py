"""Systems with verbs of their own, beside those of every workload."""

import time
from typing import Self

from e2e import Goal, InvalidArgument, Unavailable, WaitTimeout
from e2e.aio import http
from e2e.aio.workload import AsyncWorkload
from e2edb.configuration import CONFIG_FILE, RULES_FILE, with_rules
from e2edb.parts import METRICS_FILE, Config, as_page, as_yaml


class AsyncLiveWorkload(AsyncWorkload):
    """A workload whose files are changed in the container that is there."""

    @classmethod
    def of(cls, workload: AsyncWorkload) -> Self:
        """The same workload, with the verbs of this class."""
        return cls(workload._session, workload.manifest, own=workload._own)

    async def _rewrite(self, contents: dict[str, str], seconds: float) -> None:
        """Writes these files, by path, and returns when they are there."""
        await self._check_own()
        files = tuple(
            file.model_copy(update={"content": contents[file.path]}) if file.path in contents else file
            for file in self._manifest.spec.files
        )
        spec = self._manifest.spec.model_copy(update={"files": files})
        manifest = self._manifest.model_copy(update={"spec": spec})
        await self._session.transition([manifest], Goal.RECONCILED, seconds)
        self._manifest = manifest

    def _content(self, path: str) -> str:
        """What the manifest says of that file. Raises InvalidArgument where it has no such file."""
        found = next((file for file in self._manifest.spec.files if file.path == path), None)
        if found is None:
            raise InvalidArgument(f"{self._name} was defined without {path}")
        return found.content or ""


class AsyncPrometheus(AsyncLiveWorkload):
    """A Prometheus, whose configuration can be changed while it runs."""

    async def set_config(
        self, config: Config | None = None, *, rules: Config | None = None, timeout: float | None = None
    ) -> None:
        """Gives the running Prometheus another configuration, and returns when it has loaded it.

        What it refuses is taken back: it goes on with what it had.

        Args:
            config: the whole `prometheus.yml`, as text or as a mapping; None leaves it as it is. Where it has
                no `rule_files`, it gets that of `rules`.
            rules: the rule file, as text or as a mapping with `groups`; None leaves it as it is.
            timeout: seconds; None is the environment's.

        Raises InvalidArgument with Prometheus' own words where it refuses it, NotRunning, and WaitTimeout.
        """
        seconds = self._session.seconds(timeout)
        deadline = time.monotonic() + seconds
        address = await self.endpoint("http")
        before = {path: self._content(path) for path in (CONFIG_FILE, RULES_FILE)}
        wanted_rules = before[RULES_FILE] if rules is None else as_yaml(rules)
        wanted = with_rules(before[CONFIG_FILE] if config is None else config, wanted_rules)
        await self._rewrite({CONFIG_FILE: as_yaml(wanted), RULES_FILE: wanted_rules}, seconds)
        refusal = await self._reload(address, deadline - time.monotonic())
        if refusal:
            await self._rewrite(before, seconds)
            raise InvalidArgument(f"{self._name} refuses its configuration: {refusal}", reason="Refused")

    async def _reload(self, address: str, seconds: float) -> str:
        """Has it read its files again; gives what it says against them."""
        import httpx  # loaded when it is needed, as the SDK does

        url = f"http://{address}/-/reload"
        try:
            async with http.new_client() as client:
                answer = await client.post(url, timeout=max(seconds, 0.001))
        except httpx.TimeoutException:
            raise WaitTimeout(
                f"{self._name} has not loaded its configuration in time", reason="Timeout"
            ) from None
        except httpx.HTTPError as error:
            raise Unavailable(f"{url} does not answer: {error}", reason="NoAnswer") from None
        return "" if answer.is_success else answer.text.strip()[:4000] or f"HTTP {answer.status_code}"


class AsyncStaticMetrics(AsyncLiveWorkload):
    """Serves a page of metrics, which can be changed while it runs."""

    async def set_metrics(self, text: str, *, timeout: float | None = None) -> None:
        """Serves this text from now on. Raises NotRunning, and WaitTimeout after `timeout` seconds."""
        await self.endpoint("http")
        await self._rewrite({METRICS_FILE: as_page(text)}, self._session.seconds(timeout))
