"""gRPC servicers, one module a service; HTTP for metrics and health."""
