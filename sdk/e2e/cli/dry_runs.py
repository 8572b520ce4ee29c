"""Asks for the plan of changes that nobody has made yet."""

from collections.abc import Sequence

import click

from e2e import Client
from e2e.cli.files import Given, batches
from e2e_api.v1 import manifest_service_pb2
from e2e_api.yaml_nodes import MAX_BYTES


def plan(client: Client, given: Sequence[Given]) -> list[manifest_service_pb2.AppliedObject]:
    """What applying all of these would do. Changes nothing.

    They are planned together, since one may wait for another; where they do not fit into one request, that
    is said.
    """
    parts = list(batches(given, MAX_BYTES))
    if len(parts) > 1:
        text = (
            f"the {len(given)} manifests do not fit into one request: they are planned in {len(parts)} parts"
        )
        click.echo(f"note: {text}, each as if it were applied alone", err=True)
    return [found for documents in parts for found in client.apply(documents, dry_run=True)]
