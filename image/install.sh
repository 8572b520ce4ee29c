#!/bin/sh
# Runs in the Dockerfile's first stage, and leaves in /rootfs what the image has beyond its base.
set -eu
umask 022
export PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1

# From wheels that lie beside this script where there are some, the installer included; else from an index.
pip="-m pip"
for wheel in /wheels/pip-*.whl; do
    [ ! -e "$wheel" ] || pip="$wheel/pip"
done
if ls /wheels/*.whl >/dev/null 2>&1; then
    export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
fi
if [ -n "${CA_CERTIFICATE:-}" ]; then
    printf '%s\n' "$CA_CERTIFICATE" >>/wheels/ca-bundle.pem
fi
if [ -e /wheels/ca-bundle.pem ]; then
    export PIP_CERT=/wheels/ca-bundle.pem
fi

with_pip() {
    environment=$1
    shift
    python3 $pip --python "$environment" --quiet --no-input --disable-pip-version-check --no-cache-dir "$@"
}

python3 -m venv --without-pip /tmp/build
with_pip /tmp/build install --require-hashes --only-binary :all: -r /wheels/build.lock
with_pip /tmp/build wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheel /source

python3 -m venv --without-pip /opt/e2e
with_pip /opt/e2e install --no-compile --require-hashes --only-binary :all: -r /wheels/runtime.lock
with_pip /opt/e2e install --no-compile --no-deps --no-index /tmp/wheel/*.whl

# Whatever is loaded is compiled, of the standard library too, as nothing can be at run time. Python compares a
# source's time with the one it was compiled at, so that comes first.
find /opt/e2e -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
echo / >/tmp/before # with an empty list, busybox's grep finds nothing
find /usr -name '*.pyc' >>/tmp/before
PYTHONDONTWRITEBYTECODE="" /opt/e2e/bin/python - <<'PYTHON'
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
find /usr -name '*.pyc' | grep -vxF -f /tmp/before | while read -r file; do
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
