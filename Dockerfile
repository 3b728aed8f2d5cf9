# The server in a container, for CPU and GPU alike: CUDA comes with torch's wheel, the driver from the host through the
# NVIDIA Container Toolkit. `make docker-build` builds it, `make docker-serve` runs it hardened; docs/containers.md.
#
# It also has to build with the classic builder, the one that the Docker SDK speaks: no mounts in RUN, no syntax line.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# ---- the list of requirements, taken out of pyproject.toml so that its other lines do not rebuild what follows
FROM ${BASE_IMAGE} AS requirements
COPY pyproject.toml /
RUN python3 -c 'import tomllib; print(*tomllib.load(open("/pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
    > /requirements.txt

# ---- the dependencies, in an environment of their own; wheels and pip stay behind in this stage
FROM ${BASE_IMAGE} AS dependencies
# Which torch: `torch==2.13.0+cpu` for the one without CUDA, where an index or the wheelhouse has it.
ARG TORCH=torch==2.13.0
# Read by pip: one more index to look for wheels, such as PyTorch's own.
ARG PIP_EXTRA_INDEX_URL
COPY constraints.txt /
COPY --from=requirements /requirements.txt /
# `make wheelhouse` fills it. Where it holds wheels they are all there is: the build needs no network.
COPY wheelhouse/ /wheelhouse/
RUN python3 -m venv /opt/venv \
    && if ls /wheelhouse/*.whl > /dev/null 2>&1; then only="--no-index --find-links=/wheelhouse"; fi \
    && grep -v '^torch==' /constraints.txt > /others.txt \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check ${only:-} \
        --constraint /others.txt --requirement /requirements.txt "${TORCH}" \
    && /opt/venv/bin/pip uninstall --yes --quiet pip

# ---- what is shipped
FROM ${BASE_IMAGE}
RUN groupadd --gid 10001 torchlight \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin torchlight
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /app
COPY config.properties ./
COPY deploy/haproxy deploy/haproxy
COPY deploy/torchserve deploy/torchserve
COPY deploy/openapi.json deploy/openapi.json
# No handlers: the code that answers comes in each .mar.
COPY models models
COPY serving serving
COPY scripts scripts
# Whatever modes the checkout has, all may read and nobody may write, but for the state: a volume, owned by the server.
RUN chmod -R u=rwX,go=rX /app \
    && python3 -m compileall -q /app \
    && mkdir model_store .run \
    && chown torchlight:torchlight .run
# What Java learns about TorchServe once, it need not learn again at each start (serving/server/java_aot_cache.py).
RUN TMPDIR=/tmp PYTHONDONTWRITEBYTECODE=1 /opt/venv/bin/python -m scripts.maintenance.java_cache

# HOME: caches, such as matplotlib's, belong where a read-only container can write.
# `utility` brings nvidia-smi, by which TorchServe counts the GPUs.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
VOLUME /app/.run
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=10s --start-period=180s --retries=2 CMD ["python", "-m", "scripts.health"]
# The supervisor is PID 1: it passes signals on, collects stray processes and ends when a part of it does.
ENTRYPOINT ["python", "-m", "scripts.serve", "--foreground", "--container", "--host", "0.0.0.0"]

# At the end, since they change with every commit.
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Torchlight" \
      org.opencontainers.image.description="Serves image classifiers with TorchServe, and explains their answers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
