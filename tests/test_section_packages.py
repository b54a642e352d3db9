"""Packages count by their pins, with what they require; what is installed differently is told."""

from importlib import metadata
from types import SimpleNamespace

import pytest

from genlab.section import packages


@pytest.fixture
def pins(monkeypatch):
    """A lock of four packages, three of which hang together."""
    required = {"plots": ["arrays", "unpinned"], "arrays": ["core"], "core": ["plots"]}
    pins = {"plots": "2.0", "arrays": "1.5", "core": "0.1", "linter": "9"}
    monkeypatch.setattr(packages, "pinned", lambda: pins)
    monkeypatch.setattr(packages, "_requirements", lambda name: required.get(name, []))
    names = {"plt": "Plots", "core": "core", "own": "own"}
    found = {module: [SimpleNamespace(name=name)] for module, name in names.items()}
    monkeypatch.setattr(packages, "distributions", lambda: found)
    packages._bringing.cache_clear()
    yield pins
    packages._bringing.cache_clear()


def test_what_a_module_loads_counts_with_what_that_requires(pins):
    assert packages.behind({"plt"}) == {"arrays": "1.5", "core": "0.1", "plots": "2.0"}
    assert packages.behind(set()) == {} and packages.behind({"unknown"}) == {}


def test_a_package_that_somebody_added_counts_by_what_is_installed(pins, monkeypatch):
    monkeypatch.setattr(packages, "_installed", lambda name: "3.1")
    assert packages.behind({"own"}) == {"own": "3.1"}


def test_what_is_installed_differently_is_told(monkeypatch):
    monkeypatch.setattr(
        packages.metadata, "version", lambda name: {"a": "1.0+cpu", "b": "2.1"}[name]
    )
    assert packages.installed_differently({"a": "1.0", "b": "2.1"}) == []
    assert packages.installed_differently({"a": "1.0+cu12", "b": "2.0"}) == [
        "b 2.1 installed, 2.0 pinned"
    ]


def test_the_lock_is_read():
    pins = packages.pinned()
    assert pins["torch"] == "2.13.0" and "scikit-learn" in pins
    assert "numpy" in packages.behind({"sklearn"}) and "torch" not in packages.behind({"sklearn"})


def test_who_brings_a_module_is_what_the_standard_library_says():
    ours = {m: {d.name for d in dists} for m, dists in packages.distributions().items()}
    assert ours == {m: set(names) for m, names in metadata.packages_distributions().items()}
