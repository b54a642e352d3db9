"""What a record says of a GPU: a program in place of nvidia-smi stands for one."""

import sys

import pytest

from genlab.pipeline.runs import gpu, keys
from genlab.pipeline.runs.pages import get_section
from genlab.pipeline.views.about import about_run


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """smi(said): nvidia-smi says this from now on."""
    program = tmp_path / "nvidia-smi"
    monkeypatch.setattr(gpu, "PROGRAM", [sys.executable, str(program)])

    def say(said: str, code: int = 0) -> None:
        program.write_text(f"print({said!r})\nraise SystemExit({code})")

    return say


def test_the_peak_is_what_was_used_beyond_what_was_used_before(smi):
    smi("570.86.15, 1000")
    meter = gpu.Meter()
    for used in (5000, 9000, 2000):
        smi(f"570.86.15, {used}\n570.86.15, 99999")  # of a second GPU
        meter.look()
    assert meter.facts() == {"driver": "570.86.15", "peak_memory_mib": 8000}


@pytest.mark.parametrize("said", ["", "no devices were found", "570.86.15, [N/A]"])
def test_what_does_not_answer_is_unknown_and_no_error(smi, said):
    smi(said)
    meter = gpu.Meter()
    meter.look()
    assert meter.facts() == {"driver": "unknown", "peak_memory_mib": 0}


def test_the_name_is_that_of_the_first_gpu(smi, monkeypatch):
    monkeypatch.delenv("GENLAB_GPU", raising=False)
    cases = (("NVIDIA A, B\nNVIDIA T4", 0, "NVIDIA A, B"), ("", 0, None), ("x", 9, None))
    for said, code, name in cases:
        smi(said, code)
        assert keys.gpu_name.__wrapped__() == name


def test_no_nvidia_smi_is_unknown(monkeypatch):
    monkeypatch.setattr(gpu, "PROGRAM", ["/nowhere/nvidia-smi"])
    assert gpu.Meter().facts()["driver"] == "unknown"


def test_the_page_says_which_gpu_which_driver_and_how_much_memory():
    section = get_section("vae")
    record = {"profile": "full", "device": "cuda:Some GPU", "seed": 1, "seconds": 61.0}
    record |= {"peak_memory_mib": 900, "key": "0" * 16, "commit": None}
    record |= {"params": section.values("full", {})}
    gpu_facts = {"driver": "570.86.15", "peak_memory_mib": 12345}
    assert "cuda:Some GPU (driver 570.86.15, 12,345 MiB)" in about_run(
        record | {"gpu": gpu_facts}, section
    )
    assert "driver" not in about_run(record | {"device": "cpu"}, section)
