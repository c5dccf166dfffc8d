"""Finding models, refusing what can not or must not be loaded, and the packaged model."""

import ast
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from jobs.errors import JobError
from jobs.parameters import Parameters
from tests.models import documents, tiny_bart, tiny_llama
from worker import dequantized, model_files, models
from worker.engines import Engine
from worker.models import Resolved


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bart(tmp_path_factory.mktemp("original") / "bart")


@pytest.fixture
def bart(original: Path, tmp_path: Path) -> Path:
    """A tiny BART of the test's own, to spoil."""
    return shutil.copytree(original, tmp_path / "bart")


def resolve(folder: Path, revision: str | None = None) -> Resolved:
    return models.resolve(str(folder), folder.parent / "home", revision)


def load(resolved: Resolved) -> Engine:
    return models.load(resolved, "transformers", "float32", "cpu")


def code_of(doing: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(JobError) as caught:
        doing()
    assert "\n" not in caught.value.message
    return caught.value.code, caught.value.message


def test_a_folder_is_summarized_with(bart: Path) -> None:
    resolved = resolve(bart)
    assert (resolved.kind, resolved.folder, len(resolved.revision)) == ("encoder-decoder", bart, 40)
    effective = models.settle(resolved, Parameters(), None)
    engine = load(resolved)
    assert (engine.max_num_batched_tokens, engine.max_num_seqs) == (4096, 64)
    assert engine.seqs_per_document(effective) == 1
    beams = models.settle(resolved, Parameters(num_beams=4), None)
    assert engine.seqs_per_document(beams) == 4, "on a CPU"
    rows = [each.ids for each in engine.encode(documents(5), effective)]
    summaries = engine.decode(engine.generate(rows, effective, [0] * 5))
    assert all(summaries)


def test_a_revision_is_of_the_content(bart: Path, tmp_path: Path) -> None:
    revision = resolve(bart).revision
    copy = shutil.copytree(bart, tmp_path / "copy")
    (copy / "README.md").write_text("Not what is loaded.")
    assert resolve(copy, revision).revision == revision


@pytest.mark.parametrize("name", ["generation_config.json", "tokenizer_config.json", "config.json"])
def test_a_changed_model_is_not_the_one_that_was_accepted(bart: Path, name: str) -> None:
    revision = resolve(bart).revision
    (bart / name).write_text((bart / name).read_text() + "\n")
    assert code_of(lambda: resolve(bart, revision))[0] == "model_changed"


@pytest.mark.parametrize("name", ["", "lead-0", "lead", "bart", "./bart", "/no/such", "/no/x.gguf"])
def test_an_unknown_name(tmp_path: Path, name: str) -> None:
    assert code_of(lambda: models.resolve(name, tmp_path))[0] == "model_unknown"


def test_pickled_weights_are_never_opened(bart: Path) -> None:
    (bart / "model.safetensors").unlink()
    torch.save({"weights": torch.zeros(2)}, bart / "pytorch_model.bin")
    code, message = code_of(lambda: resolve(bart))
    assert code == "model_pickled"
    assert "save it once as safetensors" in message


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth"])
def test_pickles_alone_are_not_opened(bart: Path, tmp_path: Path, name: str) -> None:
    (bart / "model.safetensors").unlink()
    evil = _evil(bart / name, tmp_path / "ran")
    assert code_of(lambda: resolve(bart))[0] == "model_pickled"
    assert not evil.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "training_args.bin", "model.pt"])
def test_pickles_beside_safetensors_are_not_opened(bart: Path, tmp_path: Path, name: str) -> None:
    evil = _evil(bart / name, tmp_path / "ran")
    load(resolve(bart))
    assert not evil.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "../bart/model.safetensors", "/model.pt", 7])
def test_an_index_that_names_other_files(bart: Path, tmp_path: Path, name: object) -> None:
    evil = _evil(bart / "pytorch_model.bin", tmp_path / "ran")
    (bart / "model.safetensors").rename(bart / "other.safetensors")
    (bart / model_files.INDEX).write_text(json.dumps({"weight_map": {"a": name}}))
    assert code_of(lambda: resolve(bart))[0] == "model_unreadable"
    assert not evil.exists()


def test_no_weights_at_all(bart: Path) -> None:
    (bart / "model.safetensors").unlink()
    code, message = code_of(lambda: resolve(bart))
    assert (code, "no model.safetensors in it" in message) == ("model_unreadable", True)


def test_weights_cut_short(bart: Path) -> None:
    content = (bart / "model.safetensors").read_bytes()
    (bart / "model.safetensors").write_bytes(content[: len(content) // 2])
    assert code_of(lambda: resolve(bart))[0] == "model_unreadable"


def test_a_missing_part_of_several(bart: Path) -> None:
    (bart / "model.safetensors").rename(bart / "model-00001-of-00002.safetensors")
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (bart / model_files.INDEX).write_text(json.dumps({"weight_map": parts}))
    code, message = code_of(lambda: resolve(bart))
    assert (code, parts["b"] in message) == ("model_unreadable", True)


def test_weights_of_another_model_are_not_filled_up_at_random(bart: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(bart / "model.safetensors")
    del weights["model.encoder.layers.0.fc1.weight"]
    save_file(weights, bart / "model.safetensors", metadata={"format": "pt"})
    code, message = code_of(lambda: load(resolve(bart)))
    assert (code, "fc1.weight" in message) == ("model_unreadable", True)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_spoilt_file(bart: Path, name: str, content: str) -> None:
    (bart / name).write_text(content)
    assert code_of(lambda: load(resolve(bart)))[0] == "model_unreadable"


def test_no_tokenizer(bart: Path) -> None:
    (bart / "tokenizer.json").unlink()
    code, message = code_of(lambda: resolve(bart))
    assert (code, "tokenizer" in message) == ("model_unreadable", True)


def test_a_model_that_does_not_write(bart: Path) -> None:
    (bart / "config.json").write_text('{"model_type": "distilbert"}')
    code, message = code_of(lambda: resolve(bart))
    assert (code, "does not generate text" in message) == ("model_unreadable", True)


def test_the_models_own_code_is_never_run(bart: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (bart / "custom.py").write_text(f"open({str(ran)!r}, 'w')")
    custom = {"AutoConfig": "custom.Config", "AutoModelForSeq2SeqLM": "custom.Model"}
    (bart / "config.json").write_text(json.dumps({"model_type": "custom", "auto_map": custom}))
    assert code_of(lambda: resolve(bart))[0] == "model_unreadable"
    assert not ran.exists()


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_named_beside_a_known_class_is_never_run(
    bart: Path, tmp_path: Path, name: str
) -> None:
    """Such a model may load, with the library's own classes."""
    ran = tmp_path / "ran"
    (bart / "custom.py").write_text(f"open({str(ran)!r}, 'w')")
    custom = {
        "AutoConfig": "custom.Config",
        "AutoModelForSeq2SeqLM": "custom.Model",
        "AutoTokenizer": ["custom.Slow", "custom.Fast"],
    }
    value = json.loads((bart / name).read_text())
    (bart / name).write_text(json.dumps({**value, "auto_map": custom}))
    with suppress(JobError):
        load(resolve(bart))
    assert not ran.exists()


def test_every_call_says_that_no_code_is_trusted() -> None:
    """And which weights are read: never pickles, which are the library's second choice."""
    calls = [
        call
        for path in sorted(Path("worker").rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("from_pretrained", "from_config", "pipeline")
    ]
    assert len(calls) >= 5
    for call in calls:
        where = ast.unparse(call)
        said = {each.arg: ast.unparse(each.value) for each in call.keywords}
        assert said.get("trust_remote_code") == "False", where
        assert said.get("local_files_only") == "True", where
        if not where.startswith(("AutoConfig", "AutoTokenizer")):
            assert said.get("use_safetensors") == "True" or "gguf_file" in said, where


def test_a_decoder_without_a_chat_template(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "llama", chat_template=False)
    assert code_of(lambda: resolve(folder))[0] == "no_chat_template"


def test_nothing_is_printed(bart: Path, capfd: pytest.CaptureFixture[str]) -> None:
    resolved = resolve(bart)
    effective = models.settle(resolved, Parameters(num_beams=3), None)
    engine = load(resolved)
    engine.generate([each.ids for each in engine.encode(documents(9), effective)], effective, [0])
    assert capfd.readouterr() == ("", "")


def test_a_spoilt_gguf_file(tmp_path: Path) -> None:
    (tmp_path / "spoilt.gguf").write_bytes(b"GGUF\x03\x00\x00\x00 and then nothing")
    name = str(tmp_path / "spoilt.gguf")
    assert code_of(lambda: models.resolve(name, tmp_path))[0] == "model_unreadable"


def test_two_who_ask_at_once_get_one_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"weights")
    made = []

    def convert(file: Path, folder: Path, name: str) -> None:
        made.append(folder)
        folder.mkdir()

    monkeypatch.setattr(dequantized, "_convert", convert)
    half_done = tmp_path / "models" / f"{model_files.digest(file)[:40]}.partial"
    half_done.mkdir(parents=True)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(dequantized.copy_of, file, tmp_path / "models", "m") for _ in range(4)]
        found = {each.result() for each in asked}
    assert len(found) == len(made) == 1
    assert next(iter(found)).is_dir()
    assert not half_done.exists()


def _evil(file: Path, ran: Path) -> Path:
    """A file that makes a folder when it is unpickled; returns the folder."""
    torch.save({"weights": _Evil(str(ran))}, file)
    return ran


class _Evil:
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (self._folder,)
