"""A Thanos store gateway on a bucket in a directory; the querier knows it."""

import e2e
import e2edb
from e2e import equals


def test_a_store_gateway_serves_a_bucket(e2e_environment: e2e.Environment) -> None:
    bucket = e2e_environment.shared_dir / "bucket"
    bucket.mkdir(mode=0o777)
    configuration = {"type": "FILESYSTEM", "config": {"directory": str(bucket)}}
    store = e2edb.thanos_store(e2e_environment, "store-1", configuration)
    query = e2edb.thanos_querier(e2e_environment, "query-1", [store.internal_endpoint("grpc")])
    e2e_environment.start_and_wait_ready(store, query)
    query.wait_sum_metrics(equals(1), "thanos_store_nodes_grpc_connections")
    store.wait_sum_metrics(equals(0), "thanos_bucket_store_blocks_loaded")
