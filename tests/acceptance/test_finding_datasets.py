"""`gistmill datasets search` and `show` before a hub on loopback, with the hub's own clients."""

import gzip
import json
from collections.abc import Iterator

import pytest

from tests import hub
from tests.front_door import Door, door, say
from tests.hub import History
from tests.published import card, parquet

OF_NEWS = """license: apache-2.0
language: [en]
task_categories: [summarization]
size_categories: ['100K<n<1M']
configs:
- config_name: 1.0.0
  data_files: [{split: train, path: "1.0.0/train-*"}]
- config_name: 3.0.0
  default: true
  data_files:
  - {split: train, path: "3.0.0/train-*"}
  - {split: validation, path: "3.0.0/validation-*"}
dataset_info:
- config_name: 3.0.0
  features:
  - {name: article, dtype: string}
  - {name: highlights, dtype: string}
  - {name: id, dtype: string}
  - {name: topics, sequence: string}
  splits:
  - {name: train, num_bytes: 1, num_examples: 287113}
  - {name: validation, num_bytes: 1, num_examples: 13368}
- config_name: 1.0.0
  features: [{name: article, dtype: string}, {name: highlights, dtype: string}]
  splits: [{name: train, num_bytes: 1, num_examples: 287113}]"""
EVIL = r"""license: "[bold]x\e[31m"
configs: nonsense
dataset_info: {features: [{name: text, dtype: nonsense}], splits: 3}"""
CLOSED = """task_categories: [summarization]
dataset_info:
  features: [{name: text, dtype: string}]
  splits: [{name: train, num_bytes: 1, num_examples: 12}]"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("hub")
    news = card(root / "news", OF_NEWS)
    for config, split in (("1.0.0", "train"), ("3.0.0", "train"), ("3.0.0", "validation")):
        (news / config).mkdir(exist_ok=True)
        (news / config / f"{split}-0.parquet").write_bytes(b"never read: the card says it all")
    small = "license: mit\nlanguage: [en, de]\ntask_categories: [summarization]"
    lines = card(root / "lines", "license: mit\nsize_categories: [n<1K]")
    with gzip.open(lines / "train.jsonl.gz", "wt") as file:
        file.write('{"text": "A text."}\n' * 3)
    script = card(root / "script", "license: cc-by-4.0")
    (script / "script.py").write_text("raise SystemExit('it was run')\n")
    scripted = History(card(root / "scripted", "license: cc-by-4.0"))
    (scripted.main / "scripted.py").write_text("raise SystemExit('it was run')\n")
    made = parquet(root / "made", "{}", train=4)
    scripted.converted = root / "converted"
    (scripted.converted / "default").mkdir(parents=True)
    (made / "data" / "train-00000-of-00001.parquet").rename(root / "moved.parquet")
    (scripted.converted / "default" / "train").mkdir()
    (root / "moved.parquet").rename(scripted.converted / "default" / "train" / "0000.parquet")
    evil = parquet(root / "evil", EVIL, train=2)
    with hub.serve(
        {
            "datasets/org/news": news,
            "datasets/org/small": parquet(
                root / "small", f"{small}\nsize_categories: [n<1K]", train=30, test=5
            ),
            "datasets/org/lines": lines,
            "datasets/org/script": script,
            "datasets/org/scripted": scripted,
            "datasets/evil/data": evil,
            "datasets/closed/news": parquet(root / "closed", CLOSED, train=1),
        },
        {
            "datasets/org/news": {"downloads": 99_999, "likes": 7},
            "datasets/org/small": {"downloads": 20},
            "datasets/closed/news": {"gated": "manual", "downloads": 1},
        },
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


FOUND = {
    "": "org/news org/small closed/news org/lines org/script org/scripted evil/data",
    "news --limit 1": "org/news",
    "--task summarization --language de": "org/small",
    "--license cc-by-4.0": "org/script org/scripted",
    "--size n<1K": "org/small org/lines",
    "--size 300": "org/small org/lines",
    "--size 100k-1m --author org": "org/news",
}


def test_what_a_search_finds(environment: dict[str, str]) -> None:
    commands = [["datasets", "search", *words.split(), "-q"] for words in FOUND]
    missing = ["torch", "transformers", "datasets", "worker"]
    *ended, shown, wrong = say(
        [*commands, ["datasets", "search"], ["datasets", "search", "--size", "many"]],
        environment,
        missing,
    )
    assert [each.stdout.split() for each in ended] == [ids.split() for ids in FOUND.values()]
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["org/news", "100K<n<1M", "en", "apache-2.0", "100K", "7"]
    assert wrong.code == 2
    assert "size 'many': write rows, as 50K" in wrong.stderr


def test_what_is_in_a_dataset(opened: Door) -> None:
    names = ["news", "small", "lines", "script", "scripted"]
    ended = opened.all([["datasets", "show", f"org/{name}"] for name in names])
    assert {each.code for each in ended} == {0}
    news, small, lines, script, scripted = ended
    rows = [line.split() for line in news.stdout.splitlines()]
    assert ["3.0.0", "validation", "13,368"] in rows, "as its card says"
    assert ["1.0.0", "train", "287,113"] in rows
    assert ["article", "string", "text"] in rows
    assert ["highlights", "string", "reference"] in rows
    assert ["topics", "list<item:", "string>"] in rows
    assert "gistmill submit org/news --config 3.0.0 --split validation\n" in news.stdout
    assert "default  train    30" in small.stdout, "as the footers say"
    assert "gistmill submit org/small --split test\n" in small.stdout
    assert "default  train  unknown" in lines.stdout
    assert ["text", "string", "text"] in [line.split() for line in lines.stdout.splitlines()]
    assert "org/script: has a loading script, and none is run" in script.stderr
    assert "submit it with" not in script.stdout
    assert "default  train     4" in scripted.stdout, "as the hub converted it"


def test_as_json(opened: Door) -> None:
    words = ["datasets", "show", "org/news", "--json"]
    asked, closed = opened.all(
        [[*words, "--config", "1.0.0"], ["datasets", "show", "closed/news", "--json"]]
    )
    found = json.loads(asked.stdout)
    assert found["dataset"]["downloads"] == 99_999
    assert found["looked_at"] == "1.0.0"
    assert found["chosen"]["columns"] == {"text": "article", "id": None, "reference": "highlights"}
    assert [each["splits"] for each in found["configs"]] == [
        {"train": 287_113},
        {"train": 287_113, "validation": 13_368},
    ]
    gated = json.loads(closed.stdout)
    assert gated["dataset"]["gated"]
    assert gated["configs"][0]["splits"] == {"train": 12}, "its card is open to all"
    assert "accept its terms on the hub and set HF_TOKEN" in gated["reason"]


def test_cards_that_mean_harm_or_nothing(opened: Door) -> None:
    [ended] = opened.all([["datasets", "show", "evil/data"]])
    assert "licence    [bold]x\ufffd[31m" in ended.stdout
    assert ended.stderr.startswith("evil/data: its card can not be used (Expected configs")
    assert len(ended.stderr.splitlines()) == 1


def test_what_is_wrong_is_said_in_a_line(opened: Door, environment: dict[str, str]) -> None:
    words = ["datasets", "show"]
    ended = opened.all(
        [
            [*words, "no/such"],
            [*words, "org/news", "--config", "3.0"],
            [*words, "org/news@v9"],
            [*words, "org/news", "--revision", "v9"],
            [*words, "org/small", "--config", "3.0"],
        ]
    )
    assert [each.code for each in ended] == [5, 2, 5, 5, 2]
    says = [
        "no/such: not on the hub, or private and HF_TOKEN does not open it",
        "org/news: no config '3.0'; it has 1.0.0, 3.0.0; did you mean 3.0.0?",
        "org/news: the hub does not have this revision of it",
        "org/news: the hub does not have this revision of it",
        "org/small: no config '3.0'; it has default",
    ]
    assert [each.stderr for each in ended] == [f"gistmill: {line}\n" for line in says]
    [offline] = say([[*words, "org/news"]], {**environment, "HF_HUB_OFFLINE": "1"})
    assert (offline.code, len(offline.stderr.splitlines())) == (5, 1)
