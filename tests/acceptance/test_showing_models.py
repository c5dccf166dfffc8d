"""`gistmill models show`: of models of this machine, and of a hub on loopback."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import reference
from tests import hub
from tests.front_door import Door, Ended, door, say
from tests.models import tiny_bart, tiny_llama
from tests.published import BART, card, model, parquet

NAME = "facebook/bart-large-cnn"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    bart = card(tiny_bart(root / "bart"), "license: mit\nlanguage: en\npipeline_tag: summarization")
    pickled = shutil.copytree(bart, root / "pickled")
    (pickled / "model.safetensors").unlink()
    (pickled / "pytorch_model.bin").write_bytes(b"")
    base = tiny_llama(root / "llama", chat_template=False)
    return {NAME: bart, "old/pickled": pickled, "base/llama": base, "closed/bart": bart}


@pytest.fixture(scope="module")
def url(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """With what the examples of the commands name."""
    root = tmp_path_factory.mktemp("hub")
    tuned = model(root / "tuned", f"base_model: {NAME}\nlicense: apache-2.0", BART, 5)
    numbers = {"someone/distilbart": tuned}
    data = {
        "datasets/EdinburghNLP/xsum": parquet(root / "xsum", "license: mit", train=3, test=2),
        "datasets/abisee/cnn_dailymail": parquet(
            root / "cnn",
            "configs:\n- {config_name: 3.0.0, data_files: [{split: test, path: 'data/test-*'}]}",
            test=2,
        ),
    }
    with hub.serve(
        {**folders, **numbers, **data}, {"closed/bart": {"gated": "auto"}, NAME: {"likes": 3}}
    ) as served:
        yield served


@pytest.fixture(scope="module")
def environment(url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("home")
    return {**hub.environment(url, home), "GISTMILL_HOME": str(home)}


@pytest.fixture(scope="module")
def opened(environment: dict[str, str]) -> Iterator[Door]:
    with door(environment) as found:
        yield found


@pytest.fixture(scope="module")
def shown(opened: Door, folders: dict[str, Path]) -> dict[str, Ended]:
    names = [NAME, f"{NAME}@main", "old/pickled", "base/llama", "closed/bart", "lead3", "no/no"]
    as_json = [str(folders[NAME]), "lead-3"]
    commands = [["models", "show", name] for name in names]
    commands += [["models", "show", name, "--json"] for name in as_json]
    return dict(zip((*names, *as_json), opened.all(commands), strict=True))


def test_a_model_of_a_hub(shown: dict[str, Ended], folders: dict[str, Path]) -> None:
    lines = shown[NAME].stdout.splitlines()
    says = {line[2:13].strip(): line[14:] for line in lines[1:]}
    assert says["revision"] == hub.commit(folders[NAME])
    assert says["kind"] == "encoder-decoder (bart), for summarization"
    assert says["licence"] == "mit"
    assert says["context"].startswith("128 tokens")
    assert says["engines"] == "native, transformers"
    assert says["submit"] == f"gistmill submit FILE --model {NAME}"
    assert max(map(len, lines)) <= 80
    assert f"--model {NAME}@main" in shown[f"{NAME}@main"].stdout


def test_models_that_do_not_run(shown: dict[str, Ended]) -> None:
    says = {
        "old/pickled": "no: old/pickled: its weights are pickles, which can run code",
        "base/llama": "no: base/llama: has no chat template",
        "closed/bart": "its terms are to be accepted on the hub",
    }
    for name, line in says.items():
        assert line in shown[name].stdout
        assert "gistmill submit" not in shown[name].stdout
        assert shown[name].code == 0


def test_models_of_this_machine(shown: dict[str, Ended], folders: dict[str, Path]) -> None:
    found = json.loads(shown[str(folders[NAME])].stdout)
    parameters = found["weights"]["parameters"]
    size = (folders[NAME] / "model.safetensors").stat().st_size
    header = 20_000
    assert size - header <= 4 * parameters < size
    assert found["runs"]["memory"]["weights"]["float32"] == 4 * parameters
    assert found["runs"]["dtypes"] == ["float32", "bfloat16", "int8"]
    assert json.loads(shown["lead-3"].stdout)["runs"]["engines"] == ["lead"]


def test_names_of_nothing(shown: dict[str, Ended]) -> None:
    assert (shown["lead3"].code, shown["no/no"].code) == (2, 5)
    assert "did you mean lead-3?" in shown["lead3"].stderr
    assert shown["no/no"].stderr.startswith("gistmill: no/no: not on the hub")


def test_with_the_hub_away(
    shown: dict[str, Ended], environment: dict[str, str], folders: dict[str, Path]
) -> None:
    """What `shown` looked at is in the cache."""
    cached, unknown = say(
        [["models", "show", NAME, "--json"], ["models", "show", "no/where"]],
        {**environment, "HF_HUB_OFFLINE": "1"},
    )
    found = json.loads(cached.stdout)
    assert (found["hub"], found["runs"]["revision"]) == (None, hub.commit(folders[NAME]))
    assert (unknown.code, unknown.stdout) == (5, "")
    assert "no/where: not in the local cache" in unknown.stderr


def test_without_torch_the_hub_still_tells(environment: dict[str, str]) -> None:
    """Where the [worker] extra is not installed."""
    code = ["torch", "transformers"]
    shown, local = say(
        [["models", "show", NAME], ["models", "show", "lead-3"]], environment, missing=code
    )
    assert "licence     mit" in shown.stdout
    assert "needs torch; pip install 'gistmill[worker]'" in shown.stdout
    assert "engines     lead" in local.stdout


def test_every_example(opened: Door) -> None:
    lines = [
        line
        for name, command in reference.commands()
        if name.split()[0] in ("models", "datasets")
        for line in reference.examples(command)
    ]
    ended = opened.all([line.split()[1:] for line in lines])
    assert len(lines) >= 10
    assert [(line, each.stderr) for line, each in zip(lines, ended, strict=True) if each.code] == []
