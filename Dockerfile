# The image of every process: docker build -t goldenthread .
# Only linux/amd64 with glibc: faust-streaming has no wheel for musl or arm64, and nothing is compiled here: events are
# folded in Python (docs/deploy.md).
ARG PYTHON=python:3.11-slim-bookworm@sha256:b18992999dbe963a45a8a4da40ac2b1975be1a776d939d098c647482bcad5cba

FROM --platform=linux/amd64 ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
# What is locked comes first: a change of the program alone does not fetch it again.
COPY requirements.txt /src/
RUN /opt/venv/bin/pip install --only-binary :all: --require-hashes --requirement /src/requirements.txt
COPY pyproject.toml README.md LICENSE /src/
COPY goldenthread /src/goldenthread
COPY schemas /src/schemas
COPY state /src/state
COPY streams /src/streams
COPY agents /src/agents
COPY connectors /src/connectors
COPY bench /src/bench
RUN /opt/venv/bin/pip install --no-index --no-deps --no-build-isolation /src \
    && /opt/venv/bin/python -m compileall -q /opt/venv/lib

FROM --platform=linux/amd64 ${PYTHON}
LABEL org.opencontainers.image.title="Goldenthread" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/venv /opt/venv
# Named volumes take the owner of the folder that they cover: data and stores, and the tokens of `access make`.
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /data goldenthread \
    && install -d -o goldenthread -g goldenthread -m 0750 /data /run/goldenthread
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 GOLDENTHREAD_DATA_DIR=/data
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
# A process ends within 25 seconds of this, its last checkpoint included; give it 40 before it is killed.
STOPSIGNAL SIGTERM
ENTRYPOINT ["goldenthread"]
CMD ["--help"]
