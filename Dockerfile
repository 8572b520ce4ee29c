# The controller's image: `docker build .`, or `make image` where no registry or package index answers.
# docs/container.md tells how it is run. No heredocs and no RUN --mount: older engines build it too.
ARG BASE=docker.io/library/python:3.11-slim

FROM ${BASE} AS builder
LABEL io.e2e.stage=builder
# The text of a certificate authority to trust in addition, and the index to install from.
ARG CA_CERTIFICATE=""
ARG PIP_INDEX_URL=""
ARG SOURCE_DATE_EPOCH=0
WORKDIR /source
# The last two are there only where somebody made them: wheels/ to install from, ca-bundle.pem to trust.
COPY image/install.sh image/*.lock wheel[s] ca-bundle.pe[m] /wheels/
COPY pyproject.toml README.md LICENSE ./
COPY proto proto
COPY controller controller
COPY sdk sdk
COPY e2edb e2edb
RUN sh /wheels/install.sh

FROM ${BASE}
# What brings packages into an image has no use in this one.
RUN rm -rf /usr/local/bin/pip* /usr/local/bin/idle* /usr/local/lib/python3*/site-packages/* \
    /usr/local/lib/python3*/ensurepip /usr/local/lib/python3*/idlelib /usr/local/lib/python3*/tkinter
COPY --from=builder /rootfs/ /

ENV PATH=/opt/e2e/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/e2e \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    E2E_STATE_DIR=/var/lib/e2e \
    E2E_FOLDER=/manifests \
    E2E_HEALTH_SOCKET=/dev/shm/e2e-health.sock
VOLUME /var/lib/e2e
WORKDIR /var/lib/e2e
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/opt/e2e/bin/python", "-m", "e2e_controller.health"]
ENTRYPOINT ["/opt/e2e/bin/python", "-m", "e2e_controller.first_process"]

ARG VERSION=0.1.0
ARG REVISION=""
ARG CREATED="1970-01-01T00:00:00Z"
ARG SOURCE=""
ARG BASE
LABEL org.opencontainers.image.title="e2e-controller" \
    org.opencontainers.image.description="Keeps containers in the state that manifests in a folder ask for, and lets tests wait for readiness and Prometheus metrics over gRPC." \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.created="${CREATED}" \
    org.opencontainers.image.source="${SOURCE}" \
    org.opencontainers.image.base.name="${BASE}"
