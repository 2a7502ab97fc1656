# natlab's environment, without a checkout to run in: docs/containers.md. With CUDA:
#   --build-arg BASE=nvidia/cuda:13.0.1-devel-ubuntu24.04 --build-arg TORCH=https://download.pytorch.org/whl/cu130
ARG BASE=debian:bookworm-slim
FROM ${BASE}
ARG TORCH=https://download.pytorch.org/whl/cpu

# compilers of fairseq and of the kernels stay
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates g++ git make python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    # a mounted checkout is another user's
    && git config --system safe.directory '*'

WORKDIR /opt/natlab
COPY Makefile README.md pyproject.toml requirements.lock requirements-cuda.lock ./
COPY src src
RUN PIP_EXTRA_INDEX_URL="${TORCH}" PIP_NO_CACHE_DIR=1 make .venv/made

# natlab is the checkout's where one is the working directory, else this image's; the rest is for users that it does not know
ENV PATH=/opt/natlab/.venv/bin:${PATH} PYTHONPATH=src HOME=/tmp USER=natlab
