# Upstream has its Python in /usr/local.
mkdir -p usr/local/bin
ln -s /usr/bin/python3 usr/local/bin/python3
ln -s /usr/bin/python3 usr/local/bin/python

# Compiled once here, since every new container would do it again at each start. Needs root.
if [ "$(id -u)" = 0 ]; then
    chroot . /usr/bin/python3 -m compileall -q /usr/lib/python3.11 /usr/lib/python3
fi
