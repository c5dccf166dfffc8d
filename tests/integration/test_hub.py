"""Models from a hub: a stub on loopback, and clients in processes of their own, since
huggingface_hub reads its environment when it is imported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests import hub
from tests.models import tiny_bart

NAME = "facebook/bart-large-cnn"
CLIENT = """
import sys
from pathlib import Path
from jobs.errors import WorkError
from jobs.parameters import Parameters
from worker import models

for name in sys.argv[2:]:
    try:
        resolved = models.resolve(name, Path(sys.argv[1]))
        effective = models.settle(resolved, Parameters(), None)
        engine = models.load(resolved, "transformers", "float32", "cpu")
        ids = engine.encode(["The river rose; the bridge was closed."], effective)[0].ids
        generated = engine.generate([ids], effective, [0])
        print(resolved.revision, generated[0].tokens, len(engine.decode(generated)))
    except WorkError as error:
        print(type(error).__name__, error.code)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bart(tmp_path_factory.mktemp("models") / "bart")


def ask(url: str, home: Path, *names: str, **environment: str) -> list[str]:
    """What a client prints, a line for each model that it asked for; it prints nothing else."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", CLIENT, str(home), *names],
        env={**os.environ, "PYTHONPATH": ".", **hub.environment(url, home), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_hub_model_and_the_same_with_the_hub_away(folder: Path, tmp_path: Path) -> None:
    commit = hub.commit(folder)
    with hub.serve({NAME: folder}) as url:
        [online, other, branch] = ask(url, tmp_path, f"{NAME}@main", "nobody/nothing", f"{NAME}@no")
    assert online.startswith(f"{commit} ")
    assert (other, branch) == ("JobError model_unknown", "JobError model_unknown")
    unreachable = "TransientError hub_unreachable"
    assert ask(url, tmp_path, NAME, "nobody/nothing") == [online, unreachable]
    offline = ask(url, tmp_path, NAME, "nobody/nothing", HF_HUB_OFFLINE="1")
    assert offline == [online, "JobError model_unknown"]


def test_pickles_are_told_before_they_are_downloaded(folder: Path, tmp_path: Path) -> None:
    pickled = shutil.copytree(folder, tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    torch.save({}, pickled / "pytorch_model.bin")
    with hub.serve({NAME: pickled}) as url:
        assert ask(url, tmp_path / "home", NAME) == ["JobError model_pickled"]
    assert not list((tmp_path / "home").rglob("*.bin"))
