"""`gistmill models search` and `related` before a hub on loopback, with the hub's own client."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import hub
from tests.front_door import Door, Ended, door, say
from tests.published import BART, card, model

LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
LED = {"architectures": ["LEDForConditionalGeneration"], "model_type": "led"}
EVIL = "[red]x[/red] \x1b[31m\x9b31m\u202eid:smile:"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("hub")
    for_summaries = "language: en\npipeline_tag: summarization"
    made = {
        "big/bart": model(root / "a", f"{for_summaries}\nlicense: mit", BART, 406_290_432),
        "big/led-large": model(root / "b", f"{for_summaries}\nlicense: apache-2.0", LED, 10**9),
        "fine/bart-tuned": model(
            root / "c", f"{for_summaries}\nlicense: apache-2.0\nbase_model: big/bart", BART, 61_000
        ),
        "fine/bart-german": model(
            root / "d",
            "language: [de, en]\npipeline_tag: summarization\nbase_model: big/bart",
            BART,
            999_600_000,
        ),
        "chat/llama": model(
            root / "e", "pipeline_tag: text-generation", LLAMA, 7 * 10**9, chat_template="{{x}}"
        ),
        "base/llama": model(root / "f", "pipeline_tag: text-generation", LLAMA, 7 * 10**9),
        "old/pickled-bart": model(root / "g", "license: mit", BART),
        "odd/vision": model(
            root / "h",
            "pipeline_tag: image-to-text",
            {"architectures": ["XForConditionalGeneration"], "model_type": "x"},
            5,
        ),
        "odd/own-code": model(
            root / "i", "tags: [custom_code]", {**LLAMA, "auto_map": {"AutoConfig": "x.X"}}, 5
        ),
        "evil/bart": model(root / "j", f"license: {json.dumps(EVIL)}", BART, 5),
        "small/bart-gguf": card(root / "k", "base_model: big/bart"),
        "merged/barts": model(root / "l", "base_model: [big/bart, gone/bart]", BART, 406_290_432),
    }
    (root / "k" / "bart.gguf").write_bytes(b"GGUF")
    said: dict[str, dict[str, Any]] = {
        "big/bart": {"downloads": 1_234_567, "likes": 12},
        "big/led-large": {"downloads": 45_000, "likes": 900},
        "fine/bart-tuned": {"downloads": 10},
        "fine/bart-german": {"downloads": 300},
        "evil/bart": {"sha": EVIL},
    }
    with hub.serve(made, said) as served:
        yield served


@pytest.fixture(scope="module")
def environment(url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("home")
    return {**hub.environment(url, home), "GISTMILL_HOME": str(home)}


@pytest.fixture(scope="module")
def opened(environment: dict[str, str]) -> Iterator[Door]:
    with door(environment) as found:
        yield found


FOUND = {
    "": "big/bart big/led-large fine/bart-german fine/bart-tuned chat/llama base/llama "
    "old/pickled-bart odd/vision odd/own-code evil/bart small/bart-gguf merged/barts",
    "--limit 2": "big/bart big/led-large",
    "--sort likes --limit 1": "big/led-large",
    "BART tuned": "fine/bart-tuned",
    "--task summarization --language de": "fine/bart-german",
    "--license apache-2.0": "big/led-large fine/bart-tuned",
    "--author fine": "fine/bart-german fine/bart-tuned",
    "--task summarization --language en --license apache-2.0 --max-parameters 1B "
    "--sort downloads": "big/led-large fine/bart-tuned",
    "--max-parameters 0.5b --min-parameters 400M": "big/bart merged/barts",
    "--min-parameters 1.5B": "chat/llama base/llama",
    "nothing-like-it": "",
}


def test_what_a_search_finds(environment: dict[str, str]) -> None:
    """In an installation without torch, and without asking for more than there is."""
    commands = [["models", "search", *words.split(), "-q"] for words in FOUND]
    ended = say(commands, environment, missing=["torch", "transformers", "worker"])
    assert [each.stdout.split() for each in ended[:-1]] == [
        ids.split() for ids in FOUND.values() if ids
    ]
    assert {each.code for each in ended} == {0}
    assert ended[-1].stdout == ""


def test_tables_fit_and_nothing_in_them_is_obeyed(opened: Door) -> None:
    words = [["models", "search"], ["models", "search", "evil", "--json"]]
    shown, as_json = opened.all(words)
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["MODEL", "SIZE", "LICENCE", "DOWNLOADS", "LIKES", "ENGINE"]
    assert lines[1].split() == ["big/bart", "406M", "mit", "1.23M", "12", "native"]
    assert lines[3].split() == ["fine/bart-german", "1B", "-", "300", "0", "native"]
    [evil] = [line for line in lines if line.startswith("evil/")]
    assert "[red]x[" in evil, "markup is text"
    [found] = json.loads(as_json.stdout)
    assert found["license"] == "[red]x[/red] \ufffd[31m\ufffd31m\ufffdid:smile:"
    assert not any(mark in shown.stdout + as_json.stdout for mark in "\x1b\x9b\u202e")


def test_which_engine_it_seems(opened: Door) -> None:
    [ended] = opened.all([["models", "search", "--json"]])
    found = {each["id"]: (each["engine"], each["reason"]) for each in json.loads(ended.stdout)}
    assert found["big/bart"] == found["chat/llama"] == ("native", None)
    assert found["big/led-large"] == ("transformers", None)
    assert found["base/llama"] == (None, "no chat")
    assert found["old/pickled-bart"] == (None, "pickles")
    assert found["small/bart-gguf"] == (None, "GGUF")
    assert found["odd/vision"] == (None, "no text")
    assert found["odd/own-code"] == (None, "own code")


def test_the_family_of_a_model(opened: Door) -> None:
    words = ["models", "related"]
    made, base, quiet, bases, alone = opened.all(
        [
            [*words, "big/bart"],
            [*words, "fine/bart-tuned"],
            [*words, "big/bart", "-q", "--limit", "1"],
            [*words, "merged/barts", "--json"],
            [*words, "chat/llama"],
        ]
    )
    headings = [line for line in made.stdout.splitlines() if line.endswith(":")]
    assert headings == ["fine-tunes:", "quantizations:", "merges:"]
    first, second = made.stdout.split("quantizations:")[0].splitlines()[2:]
    assert (first.split()[0], second.split()[0]) == ("fine/bart-german", "fine/bart-tuned")
    assert base.stdout.startswith("fine-tuned from:\n")
    assert quiet.stdout.split() == ["fine/bart-german", "small/bart-gguf", "merged/barts"]
    [found, gone] = json.loads(bases.stdout)["bases"]["merge"]
    assert (found["id"], found["parameters"]) == ("big/bart", 406_290_432)
    assert (gone["id"], gone["reason"]) == ("gone/bart", "not there")
    assert (alone.code, alone.stdout) == (0, "")
    assert "names no base" in alone.stderr


def one_line(ended: Ended, code: int, says: str) -> None:
    [line] = ended.stderr.splitlines()
    assert line.startswith("gistmill: ")
    assert says in line
    assert (ended.code, ended.stdout) == (code, "")


def test_what_is_wrong_is_said_in_a_line(opened: Door) -> None:
    ended = opened.all(
        [
            ["models", "search", "--max-parameters", "many"],
            ["models", "search", "--sort", "size"],
            ["models", "related", "no/such"],
            ["models", "related", "not a name"],
            ["models", "serach"],
        ]
    )
    one_line(ended[0], 2, "'many' is not a number such as 500K")
    one_line(ended[1], 2, "'downloads', 'likes'")
    one_line(ended[2], 5, "no/such: not on the hub, or private")
    one_line(ended[3], 5, "not a name")
    one_line(ended[4], 2, "No such command 'serach'. Did you mean 'search'?")


def test_a_hub_that_gives_nothing(environment: dict[str, str], url: str) -> None:
    words = [["models", "search", "bart"], ["models", "related", "org/bart"]]
    for ended in say(words, {**environment, "HF_HUB_OFFLINE": "1"}):
        one_line(ended, 5, "HF_HUB_OFFLINE keeps from asking")
    asked_too_often = (429, {"ratelimit": '"api";r=0;t=55'})
    with hub.serve({}, refusal=asked_too_often) as refusing:
        for ended in say(words, {**environment, "HF_ENDPOINT": refusing}):
            one_line(ended, 5, "is asked too often; try again in 55 s, or set HF_TOKEN")
    # Nothing answers there any more.
    for ended in say(words, {**environment, "HF_ENDPOINT": refusing}):
        one_line(ended, 5, "the hub does not answer")
    wrong_token = (401, {"X-Error-Message": "Invalid credentials in Authorization header"})
    with hub.serve({}, refusal=wrong_token) as refusing:
        for ended in say(words, {**environment, "HF_ENDPOINT": refusing, "HF_TOKEN": "hf_x"}):
            one_line(ended, 4, "does not take this HF_TOKEN")


def test_flags_have_defaults_in_files(environment: dict[str, str], tmp_path: Path) -> None:
    """Of commands of two words, too: flags over the environment over the file."""
    here = {**environment, "PYTHONPATH": str(Path.cwd())}
    settings = tmp_path / "gistmill.toml"
    settings.write_text('[models.search]\nlimit = 3\nquiet = true\ntask = "summarization"\n')
    here["GISTMILL_MODELS_SEARCH_LIMIT"] = "2"
    words = ["models", "search"]
    by_variable, by_flag, shown = say(
        [words, [*words, "--limit", "1"], ["config", "--json"]], here, cwd=str(tmp_path)
    )
    assert by_variable.stdout.split() == ["big/bart", "big/led-large"]
    assert by_flag.stdout.split() == ["big/bart"]
    values = {each["name"]: each["value"] for each in json.loads(shown.stdout)}
    assert values["models.search.limit"] == 2
    assert values["models.search.task"] == "summarization"
    settings.write_text("[models.serach]\nlimit = 3\n")
    [wrong] = say([words], here, cwd=str(tmp_path))
    assert wrong.code == 2
    assert "[models]: no table 'serach'; do you mean 'search'?" in wrong.stderr
