"""Tables for the terminal name the sections, their parameters and the state of their runs."""

import pytest
from pipeline import prepared, run_all


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return prepared(tmp_path_factory, "ran", run_all)


@pytest.mark.slow
def test_list_and_describe(project):
    listed = project.genlab("list").stdout
    assert "first" in listed and "reads the first" in listed and "current" in listed
    described = project.genlab("describe", "first").stdout
    assert all(
        word in described
        for word in ("size", "how many numbers", "1 .. 100", "float", "list of str")
    )
