"""Remembered trainings: read back for the same code and arguments, computed anew for any other."""

import errno
import json
import os
import pickle
import tempfile

import jax.numpy as jnp
import numpy as np
import pytest

from genlab import streams
from genlab.section import states
from genlab.toys import langevin
from genlab.training import jax as training


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store of its own, and a run that counts what was read back."""
    for name in ("GENLAB_REMEMBER", "GENLAB_DEVICE", "GENLAB_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GENLAB_STORE", str(tmp_path))
    monkeypatch.setenv("GENLAB_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "mine"))
    return tmp_path


@pytest.fixture
def calls(monkeypatch):
    """How often `ema`, whose states are remembered here, was computed."""
    found, ema = [], training.ema

    def counted(average, new, decay):
        found.append(decay)
        return ema(average, new, decay)

    counted.__module__, counted.__qualname__, counted.__name__ = ema.__module__, "ema", "ema"
    monkeypatch.setattr(training, "ema", counted)
    return found


def test_a_state_is_computed_once_for_the_same_arguments(store, calls):
    arguments = (np.array([1.0]), jnp.array([3.0]), 0.75)
    first = states.remember(training.ema, *arguments)
    again = states.remember(training.ema, *arguments)
    assert calls == [0.75] and first == again == pytest.approx(1.5)
    assert isinstance(again, np.ndarray) and float((store / "remembered_seconds").read_text()) >= 0
    states.remember(training.ema, *arguments[:2], 0.5)
    states.remember(training.ema, np.array([2.0]), *arguments[1:])
    assert len(calls) == 3 and len(list((store / "trained").glob("ema-*.pkl"))) == 3


@pytest.mark.parametrize(
    ("name", "value"), [("GENLAB_DEVICE", "cuda:Some GPU"), ("GENLAB_THREADS", "2")]
)
def test_device_and_threads_count(store, calls, monkeypatch, name, value):
    states.remember(training.ema, 1.0, 3.0, 0.75)
    monkeypatch.setenv(name, value)
    states.remember(training.ema, 1.0, 3.0, 0.75)
    assert len(calls) == 2


def test_a_broken_state_is_computed_anew(store, calls):
    states.remember(training.ema, 1.0, 3.0, 0.75)
    (file,) = (store / "trained").glob("*.pkl")
    whole = file.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"cgenlab.gone\nState\n."):
        file.write_bytes(broken)
        assert states.remember(training.ema, 1.0, 3.0, 0.75) == 1.5
    assert len(calls) == 4


class Command:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_what_somebody_else_wrote_is_not_unpickled(store, calls, monkeypatch):
    """A prepared file under the right name: as it is, or signed with the secret of another."""
    states.remember(training.ema, 1.0, 3.0, 0.75)
    (file,) = (store / "trained").glob("*.pkl")
    command = pickle.dumps((1.0, Command(store / "its-command-ran")))
    pickle.loads(pickle.dumps(Command(store / "twin")))
    assert (store / "twin").is_dir()  # so the command would run
    file.write_bytes(command)
    assert states.remember(training.ema, 1.0, 3.0, 0.75) == 1.5
    monkeypatch.setenv("XDG_STATE_HOME", str(store / "theirs"))
    states._write(file, command)
    monkeypatch.setenv("XDG_STATE_HOME", str(store / "mine"))
    assert states.remember(training.ema, 1.0, 3.0, 0.75) == 1.5
    assert len(calls) == 3 and not (store / "its-command-ran").exists()


def test_a_state_counts_under_its_own_name_only(store, calls):
    states.remember(training.ema, 1.0, 3.0, 0.75)
    (file,) = (store / "trained").glob("*.pkl")
    states.remember(training.ema, 1.0, 3.0, 0.5)
    (other,) = set((store / "trained").glob("*.pkl")) - {file}
    other.write_bytes(file.read_bytes())
    assert states.remember(training.ema, 1.0, 3.0, 0.5) == 2.0 and len(calls) == 3
    copy = file.with_name("moved-0123456789abcdef.pkl")
    assert states.copy(file, copy.name) and not states.copy(file, copy.name)
    assert states._read(copy)[1] == 1.5 and not states.copy(store / "none.pkl", "x.pkl")


@pytest.mark.parametrize("content", [b"", b"short"])
def test_without_a_good_secret_nothing_is_kept(store, calls, content):
    (store / "mine/genlab").mkdir(parents=True)
    (store / "mine/genlab/secret").write_bytes(content)
    for _ in range(2):
        assert states.remember(training.ema, 1.0, 3.0, 0.75) == 1.5
    assert len(calls) == 2 and not (store / "trained").exists()


def test_a_full_disk_leaves_no_draft(store, calls, monkeypatch):
    states.remember(training.ema, 1.0, 3.0, 0.5)  # makes the secret

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert states.remember(training.ema, 1.0, 3.0, 0.75) == 1.5
    assert len(list((store / "trained").iterdir())) == 1
    monkeypatch.setattr(tempfile, "mkstemp", full)
    assert states.remember(training.ema, 1.0, 3.0, 0.75) == 1.5 and len(calls) == 3


def test_remembering_can_be_left_and_renewed(store, calls, monkeypatch):
    monkeypatch.setenv("GENLAB_REMEMBER", "0")
    states.remember(training.ema, 1.0, 3.0, 0.75)
    assert not (store / "trained").exists()
    for mode, computed in (("1", 2), ("1", 2), ("refresh", 3), ("1", 3)):
        monkeypatch.setenv("GENLAB_REMEMBER", mode)
        states.remember(training.ema, 1.0, 3.0, 0.75)
        assert len(calls) == computed


def test_functions_count_by_what_they_do_and_only_those_of_the_library():
    assert states._hashed(langevin.mala) == states._hashed(langevin.mala)
    assert states._hashed(langevin.mala) != states._hashed(langevin.uniform_jump)
    assert states.definition(streams.stream).name == "stream"
    with pytest.raises(ValueError, match="is not in genlab"):
        states.remember(json.dumps, {})

    def on_the_page():
        pass

    on_the_page.__module__ = "__main__"
    with pytest.raises(ValueError, match="is defined on the page"):
        states._hashed({"sampler": on_the_page})
