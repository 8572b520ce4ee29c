"""Thanos where series come from: receive and rule."""

import json
from collections.abc import Mapping, Sequence
from typing import Unpack

from e2e import AnyEnvironment, AnyWorkload, ContainerOptions, File
from e2edb.parts import RELOADED, Config, Flags, FlagValue, Target, addresses_of, as_yaml, with_files
from e2edb.thanos_component import THANOS_IMAGE, Component, component, endpoint_of
from e2edb.tracing import Tracing

_REMOTE_WRITE = 19291
_RULES_FILE = "/etc/thanos/rules.yml"


def thanos_receive(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    /,
    *,
    hashring: Sequence[str] = (),
    replication_factor: int = 1,
    external_labels: Mapping[str, str] | None = None,
    objstore_config: Config | None = None,
    tracing: Tracing | None = None,
    image: str = THANOS_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """A receiver of what Prometheus sends by remote write, at port `remote-write`.

    Args:
        env: where it runs.
        name: its name.
        hashring: the names of all receivers that share the series among them, this one included; none for
            one that is alone.
        replication_factor: how many of them store each series.
        external_labels: of what it stores; None is `{"receive": name}`.
        objstore_config: where it uploads its blocks to, as of `thanos_store`; None is nowhere.
        tracing: where it sends its traces, as service `name`.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    own_flags: dict[str, FlagValue] = {
        "--remote-write.address": f"0.0.0.0:{_REMOTE_WRITE}",
        "--tsdb.path": "/tmp/receive",  # noqa: S108 - in the container  # nosec B108
        "--label": _label_flags({"receive": name} if external_labels is None else external_labels),
    }
    if hashring:
        endpoints = [{"address": endpoint_of(member)} for member in hashring]
        own_flags |= {
            "--receive.local-endpoint": endpoint_of(name),
            "--receive.hashrings": json.dumps([{"endpoints": endpoints}]),
            "--receive.replication-factor": str(replication_factor),
        }
    if objstore_config is not None:
        own_flags["--objstore.config"] = as_yaml(objstore_config)
    receive = Component("receive", own_flags, ports={"remote-write": _REMOTE_WRITE})
    return component(env, name, receive, tracing, image, flags, options)


def thanos_rule(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    queriers: Sequence[Target],
    rules: Config,
    /,
    *,
    alertmanagers: Sequence[Target] = (),
    external_labels: Mapping[str, str] | None = None,
    objstore_config: Config | None = None,
    tracing: Tracing | None = None,
    image: str = THANOS_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """A ruler that evaluates rules every second by asking queriers, and serves what comes of it to them.

    Args:
        env: where it runs.
        name: its name.
        queriers: who is asked: workloads with port `http`, or `name:port` of each.
        rules: its rule file, as text or as a mapping with `groups`.
        alertmanagers: who is told of alerts, named in the same way.
        external_labels: of what it makes; None is `{"rule": name}`.
        objstore_config: where it uploads its blocks to, as of `thanos_store`; None is nowhere.
        tracing: where it sends its traces, as service `name`.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    own_flags: dict[str, FlagValue] = {
        "--query": addresses_of(queriers, "http"),
        "--rule-file": _RULES_FILE,
        "--eval-interval": "1s",
        "--alertmanagers.url": [f"http://{address}" for address in addresses_of(alertmanagers, "http")],
        "--label": _label_flags({"rule": name} if external_labels is None else external_labels),
        "--data-dir": "/tmp/rule",  # noqa: S108 - in the container  # nosec B108
    }
    if objstore_config is not None:
        own_flags["--objstore.config"] = as_yaml(objstore_config)
    options = with_files(options, File(path=_RULES_FILE, content=as_yaml(rules), on_change=RELOADED))
    return component(env, name, Component("rule", own_flags), tracing, image, flags, options)


def _label_flags(labels: Mapping[str, str]) -> Sequence[str]:
    return [f"{name}={json.dumps(value)}" for name, value in labels.items()]
