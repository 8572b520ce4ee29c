#!/bin/sh
# Options alone are the server program's, as upstream's has it.
[ "${1:-}" = minio ] || set -- minio "$@"
exec "$@"
