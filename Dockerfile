# The server in a container, for CPUs and GPUs. CUDA is in torch's wheel, and the NVIDIA Container Toolkit provides the
# driver of the host. `make docker-build` builds it, and `make docker-serve` runs it hardened; see docs/guides/container.md.
#
# The classic builder of the Docker SDK must be able to build it, so there are no mounts in RUN and no syntax line.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# ---- the requirements of pyproject.toml, so that a change of its other lines does not rebuild the next stages
FROM ${BASE_IMAGE} AS requirements
COPY pyproject.toml /
RUN python3 -c 'import tomllib; print(*tomllib.load(open("/pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
    > /requirements.txt

# ---- the dependencies, in a virtual environment; wheels and pip are not copied out of this stage
FROM ${BASE_IMAGE} AS dependencies
# The requirement for torch: `torch==2.13.0+cpu` is the one without CUDA, if an index or the wheelhouse has it.
ARG TORCH=torch==2.13.0
# An additional index for pip, such as PyTorch's own.
ARG PIP_EXTRA_INDEX_URL
COPY constraints.txt /
COPY --from=requirements /requirements.txt /
# `make wheelhouse` fills this folder. If it has wheels, pip uses only these, and the build needs no network.
COPY wheelhouse/ /wheelhouse/
RUN python3 -m venv /opt/venv \
    && if ls /wheelhouse/*.whl > /dev/null 2>&1; then only="--no-index --find-links=/wheelhouse"; fi \
    && grep -v '^torch==' /constraints.txt > /others.txt \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check ${only:-} \
        --constraint /others.txt --requirement /requirements.txt "${TORCH}" \
    && /opt/venv/bin/pip uninstall --yes --quiet pip

# ---- the final stage
FROM ${BASE_IMAGE}
RUN groupadd --gid 10001 torchlight \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin torchlight
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /app
COPY config.properties ./
COPY deploy/haproxy deploy/haproxy
COPY deploy/torchserve deploy/torchserve
COPY deploy/openapi.json deploy/openapi.json
# No handlers: each .mar has its own code.
COPY clients/python/src clients/python/src
COPY models models
COPY serving serving
COPY scripts scripts
# All users may read and none may write, whatever modes the checkout has. Only the state is writable: a volume.
RUN chmod -R u=rwX,go=rX /app \
    && python3 -m compileall -q /app \
    && mkdir model_store .run \
    && chown torchlight:torchlight .run
# The client is imported from its source folder, as in .venv (scripts/setup.py).
RUN echo /app/clients/python/src \
    > "$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torchlight_client.pth"
# Java's AOT cache of TorchServe makes every start faster (serving/server/java_aot_cache.py).
RUN TMPDIR=/tmp PYTHONDONTWRITEBYTECODE=1 /opt/venv/bin/python -m scripts.maintenance.java_cache

# HOME: a folder for caches that a read-only container can write to.
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
# The supervisor is PID 1: it handles signals, reaps orphans, and ends when one of its children ends.
ENTRYPOINT ["python", "-m", "scripts.serve", "--foreground", "--container", "--host", "0.0.0.0"]

# At the end, because they change with every commit.
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Torchlight" \
      org.opencontainers.image.description="Serves image classifiers with TorchServe, and explains their answers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
