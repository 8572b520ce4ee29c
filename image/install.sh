#!/bin/sh
# Runs in the Dockerfile's first stage, and leaves in /rootfs what the image has beyond its base.
set -eu
umask 022
export PYTHONHASHSEED=0

# From wheels that lie beside this script where there are some, the installer included; else from an index.
pip="-m pip"
for wheel in /wheels/pip-*.whl; do
    [ ! -e "$wheel" ] || pip="$wheel/pip"
done
set -- --quiet --no-input --disable-pip-version-check --no-cache-dir
if ls /wheels/*.whl >/dev/null 2>&1; then
    export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
fi
if [ -n "${CA_CERTIFICATE:-}" ]; then
    printf '%s\n' "$CA_CERTIFICATE" >>/wheels/ca-bundle.pem
fi
if [ -e /wheels/ca-bundle.pem ]; then
    export PIP_CERT=/wheels/ca-bundle.pem
fi

python3 -m venv --without-pip /tmp/build
/tmp/build/bin/python $pip "$@" install --require-hashes --only-binary :all: -r /wheels/build.lock
/tmp/build/bin/python $pip "$@" wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheel /source

python3 -m venv --without-pip /opt/e2e
/opt/e2e/bin/python $pip "$@" install --no-compile --require-hashes --only-binary :all: -r /wheels/runtime.lock
/opt/e2e/bin/python $pip "$@" install --no-compile --no-deps --no-index /tmp/wheel/*.whl

# Whatever is loaded is compiled, of the standard library too, as nothing can be at run time. Python compares a
# source's time with the one it was compiled at, so that comes first.
find /opt/e2e -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
touch /tmp/before
/opt/e2e/bin/python - <<'PYTHON'
import importlib
import pkgutil
from contextlib import suppress

for package in ("e2e_api", "e2e_controller", "e2e", "e2edb"):
    path = importlib.import_module(package).__path__
    for module in pkgutil.walk_packages(path, f"{package}.", onerror=lambda _: None):
        with suppress(ImportError):  # what tests and reports need is not here
            importlib.import_module(module.name)
PYTHON
mkdir /rootfs
find /usr -name '*.pyc' -newer /tmp/before | while read -r file; do
    mkdir -p "/rootfs${file%/*}"
    cp "$file" "/rootfs$file"
done

mkdir -p /rootfs/opt /rootfs/etc /rootfs/var/lib/e2e /rootfs/certs /rootfs/manifests /rootfs/run /rootfs/tmp
mv /opt/e2e /rootfs/opt/
rm -rf /rootfs/opt/e2e/include
cp /etc/passwd /etc/group /rootfs/etc/
echo "e2e:x:65532:65532:e2e controller:/var/lib/e2e:/sbin/nologin" >>/rootfs/etc/passwd
echo "e2e:x:65532:" >>/rootfs/etc/group
chown 65532:65532 /rootfs/var/lib/e2e /rootfs/certs
chmod 1777 /rootfs/tmp
find /rootfs -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
