"""Where sections run, as the command line says it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Where:
    """`jobs` sections at a time on this machine (None: one a core), or on the workers of a Dask
    scheduler; TLS files for it."""

    jobs: int | None = None
    scheduler: str | None = None
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None


HERE = Where()  # this machine, one section a core
