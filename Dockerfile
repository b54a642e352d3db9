# The book and its environment, on a CPU; how to build and run it is in book/how_to_rerun.md.
# TORCH is what `make help` says: the index of CPU packages; without it comes PyPI's torch, which on Linux brings CUDA.
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 reader \
    && install --directory --owner=reader --group=reader /home/reader/genlab

USER reader
WORKDIR /home/reader/genlab
ENV VENV=/home/reader/venv PIP_NO_CACHE_DIR=1

# What the installation reads, so that other changes install nothing again: make sets up the versions of requirements.lock.
ARG TORCH=
COPY --chown=reader:reader Makefile pyproject.toml requirements.lock README.md LICENSE ./
RUN mkdir --parents src/genlab runs \
    && touch src/genlab/__init__.py \
    && make TORCH="$TORCH" "$VENV/.installed"

COPY --chown=reader:reader . .
VOLUME /home/reader/genlab/runs
ENV PATH="$VENV/bin:$PATH"
CMD ["make", "book"]
