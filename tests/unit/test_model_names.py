"""What a model's name means here, and what is said of one that means nothing."""

import re
from pathlib import Path

import pytest

from jobs import model_names
from jobs.allowed_sources import Allowed
from jobs.errors import NotAllowed, UsageError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a model in it, and files."""
    (tmp_path / "my-model").mkdir()
    (tmp_path / "org" / "name").mkdir(parents=True)
    for name in ("small.gguf", "weights.bin"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["lead-3", "smollm2-135m", "facebook/bart-large-cnn", "org/other@v1.0", "/srv/not/here"],
)
def test_names_that_are_stored_as_they_are(name: str) -> None:
    assert model_names.settled(name) == name


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("./my-model", "my-model"),
        ("my-model", "my-model"),
        ("~/my-model", "my-model"),
        ("small.gguf", "small.gguf"),
        ("org/name", "org/name"),
    ],
)
def test_what_lies_here_is_stored_by_its_absolute_path(here: Path, name: str, stored: str) -> None:
    assert model_names.settled(name) == str(here / stored)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("lead3", "lead3: no such model; did you mean lead-3?"),
        ("Lead-12", "Lead-12: no such model; did you mean lead-12?"),
        ("smollm2-135", "smollm2-135: no such model; did you mean smollm2-135m?"),
        ("t5", "t5: no such model; name one as lead-N, smollm2-135m, a folder, "),
        ("lead-0", "lead-0: no such model; name one as "),
        ("./none", "./none: no such folder: {here}/none"),
        ("../none", "../none: no such folder: {here}/../none"),
        ("~/none", "~/none: no such folder: {here}/none"),
        ("none.gguf", "none.gguf: no such file: {here}/none.gguf"),
        ("org/name/none", "org/name/none: no such folder: {here}/org/name/none"),
        ("./weights.bin", "./weights.bin: is neither a folder nor a .gguf file; "),
        (" ", "model: name one, such as lead-3"),
        ("", "model: name one, such as lead-3"),
    ],
)
def test_names_that_nobody_could_know(here: Path, name: str, says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says.format(here=here))) as caught:
        model_names.settled(name)
    assert "\n" not in str(caught.value)


def test_a_path_that_is_nowhere_is_named_once() -> None:
    assert model_names.problem("/srv/none") == "/srv/none: no such folder"


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("{here}/../elsewhere", NotAllowed, "not below what allowed_sources names"),
        ("{here}/my-model/../../x", NotAllowed, "not below what allowed_sources names"),
        ("{here}/out", NotAllowed, "not below what allowed_sources names"),
        ("/etc", NotAllowed, "not below what allowed_sources names"),
        ("./my-model", UsageError, "neither ORG/NAME nor an absolute path"),
        ("~/my-model", UsageError, "neither ORG/NAME nor an absolute path"),
        ("../x", UsageError, "neither ORG/NAME nor an absolute path"),
        ("org/..", UsageError, "neither ORG/NAME nor an absolute path"),
        ("small.gguf", UsageError, "neither ORG/NAME nor an absolute path"),
        ("my-model", UsageError, "no such model"),
        ("", UsageError, "name one"),
        ("/srv/a\0b", UsageError, "NUL"),
        ("/srv/\ud800", UsageError, "NUL"),
    ],
)
def test_what_is_no_name_from_elsewhere(
    here: Path, name: str, error: type[Exception], says: str
) -> None:
    (here / "out").symlink_to("/")
    with pytest.raises(error, match=re.escape(says)):
        model_names.settled_elsewhere(name.format(here=here), Allowed((str(here),)))


@pytest.mark.parametrize(
    "name", ["lead-3", "smollm2-135m", "org/name", "org/other@v1.0", "{here}/my-model", "{here}/no"]
)
def test_names_from_elsewhere(here: Path, name: str) -> None:
    """A folder of that name beside the server makes no other model of one on the hub."""
    given = name.format(here=here)
    assert model_names.settled_elsewhere(given, Allowed((str(here),))) == given
    if given.startswith("/"):
        with pytest.raises(NotAllowed):
            model_names.settled_elsewhere(given, Allowed(()))
