# Upstream's names.
ln -s prometheus-alertmanager usr/bin/alertmanager
