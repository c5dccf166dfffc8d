"""Files of each kind: each document once and in order, however they are cut and read."""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import sources
from jobs.allowed_sources import Allowed
from jobs.documents import Columns, Document, from_line
from jobs.errors import JobError, NotAllowed, NotFound, UsageError
from jobs.job import NewShard
from jobs.sources import Found, opened
from jobs.sources import jsonl as jsonl_lines
from jobs.sources.asked import Asked
from tests import reading

COLUMNS = Columns("text", "id", "gold")

Rows = Sequence[dict[str, Any]]
Write = Callable[[Path, Rows], None]

texts = st.text(st.characters(codec="utf-8"), max_size=8)
rows = st.lists(
    st.fixed_dictionaries({"text": texts, "id": st.integers(0, 9), "gold": texts | st.none()}),
    min_size=1,
    max_size=30,
)


def jsonl(path: Path, written: Rows) -> None:
    path.write_bytes(lines(written))


def compressed(path: Path, written: Rows) -> None:
    """In two parts, one after the other, as log rotation and parallel tools leave them."""
    half = len(written) // 2
    parts = [lines(written[:half]), lines(written[half:])]
    if path.suffix == ".gz":
        path.write_bytes(b"".join(gzip.compress(part) for part in parts))
    else:
        codec = pa.Codec("zstd")
        path.write_bytes(b"".join(codec.compress(part, asbytes=True) for part in parts))


def parquet(path: Path, written: Rows) -> None:
    kinds = [("text", pa.string()), ("id", pa.int64()), ("gold", pa.string())]
    table = pa.Table.from_pylist([*written], pa.schema(kinds))
    pq.write_table(table, path, row_group_size=7)


def lines(written: Rows) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in written)


KINDS: dict[str, Write] = {
    "jsonl": jsonl,
    "jsonl.gz": compressed,
    "ndjson.zst": compressed,
    "parquet": parquet,
}


@pytest.fixture(scope="module", params=list(KINDS))
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


def written_as(folder: Path, ending: str, several: Sequence[Rows]) -> str:
    """A pattern of so many files, in their order."""
    for old in folder.glob(f"*.{ending}"):
        old.unlink()
    for number, written in enumerate(several):
        KINDS[ending](folder / f"{number:03}.{ending}", written)
    return f"{folder}/*.{ending}"


def expected(several: Sequence[Rows]) -> list[Document]:
    every = [row for written in several for row in written]
    return [from_line(n, lines([row]), COLUMNS) for n, row in enumerate(every)]


def fields(documents: Sequence[Document]) -> list[tuple[object, ...]]:
    """All but how messages name a place, which each kind does as its users do."""
    return [(d.index, d.text, d.id, d.reference, d.error and d.error.code) for d in documents]


@given(
    st.lists(rows, min_size=1, max_size=3), st.integers(1, 12), st.randoms(use_true_random=False)
)
def test_each_document_once_in_any_order_of_shards(
    folder: Path, ending: str, several: list[Rows], size: int, random: Random
) -> None:
    found = reading.found(written_as(folder, ending, several), COLUMNS)
    planned = reading.planned(found, size)
    assert [shard.start for shard in planned] == [0, *(shard.stop for shard in planned[:-1])]
    one_after_the_other = reading.read(found.source, planned)
    assert fields(one_after_the_other) == fields(expected(several))
    random.shuffle(planned)
    anyhow = reading.read(found.source, planned)
    assert sorted(fields(anyhow), key=lambda each: int(str(each[0]))) == fields(one_after_the_other)


@given(
    st.lists(rows, min_size=1, max_size=3),
    st.integers(1, 12),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_a_part_of_all_documents(
    folder: Path, ending: str, several: list[Rows], size: int, first: int, more: int
) -> None:
    """As a slice of a dataset: it counts from 0."""
    found = reading.found(written_as(folder, ending, several), COLUMNS)
    part = Found(found.source, found.files, (first, first + more))
    documents = reading.read(found.source, reading.planned(part, size))
    every = [row for written in several for row in written]
    assert fields(documents) == fields(expected([every[first : first + more]]))


def test_all_columns_of_the_same_documents(tmp_path: Path, ending: str) -> None:
    """Also where only some were read of the file before."""
    every = [{"text": f"text {n}", "id": n, "gold": None} for n in range(20)]
    found = reading.found(written_as(tmp_path, ending, [every]), COLUMNS)
    first, *others = reading.planned(found, 5)
    with reading.working() as sources:
        assert len(sources.read(reading.extent(found.source, first))) == 5
        rows = [
            row for shard in others for row in sources.rows(reading.extent(found.source, shard))
        ]
    assert rows == every[5:]


def test_one_of_several_files_changes(tmp_path: Path, ending: str) -> None:
    some = [{"text": "one", "id": 1, "gold": "x"}]
    found = reading.found(written_as(tmp_path, ending, [some, some]), COLUMNS)
    assert (found.source["files"], found.source["pattern"]) == (2, f"{tmp_path}/*.{ending}")
    first, second = reading.planned(found, 5)
    KINDS[ending](tmp_path / f"001.{ending}", [{**some[0], "text": "two"}])
    with reading.working() as sources:
        sources.check(found.source)
        for _ in range(2):  # also what was kept open is looked at again
            assert sources.read(reading.extent(found.source, first))[0].text == "one"
        with pytest.raises(JobError, match=r"001\S+ changed after it was submitted") as caught:
            sources.read(reading.extent(found.source, second))
    assert caught.value.code == "source_changed"


@pytest.mark.parametrize("ending", ["jsonl.gz", "ndjson.zst", "parquet"])
@pytest.mark.parametrize("damage", ["cut off", "other bytes"])
def test_a_damaged_file_is_one_line(tmp_path: Path, ending: str, damage: str) -> None:
    path = tmp_path / f"in.{ending}"
    KINDS[ending](path, [{"text": str(Random(n).random()), "id": n, "gold": ""} for n in range(99)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-20] if damage == "cut off" else b"no such thing" * 9)
    with pytest.raises(UsageError, match=f"in.{ending}: damaged, or not ") as caught:
        reading.planned(reading.found(path, COLUMNS), 10)
    assert "\n" not in str(caught.value)


def test_damage_that_a_worker_meets(tmp_path: Path) -> None:
    """In the middle of a file: its stamp is taken after the damage, its footer is good."""
    path = tmp_path / "in.parquet"
    parquet(path, [{"text": f"{n} " * 99, "id": n, "gold": ""} for n in range(99)])
    data = bytearray(path.read_bytes())
    data[60:400] = bytes(340)
    path.write_bytes(data)
    found = reading.found(path, COLUMNS)
    shards = reading.planned(found, 50)
    with pytest.raises(JobError, match=r"in\.parquet: damaged, or not Parquet") as caught:
        reading.read(found.source, shards)
    assert caught.value.code == "source_unreadable"


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_ends_of_lines(tmp_path: Path, end: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(f'{{"text": "ä"}}{end or chr(10)}\n{{"text": "b"}}{end}'.encode())
    found = reading.found(path, COLUMNS)
    documents = reading.read(found.source, reading.planned(found, 1))
    assert [document.text for document in documents] == ["ä", "b"]


def test_texts_of_any_string_type(tmp_path: Path) -> None:
    every = ["one", "two", "one", None]
    for number, kind in enumerate(
        [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
    ):
        path = tmp_path / f"{number}.parquet"
        column = pa.array(every).cast(kind) if number != 3 else pa.array(every).dictionary_encode()
        pq.write_table(pa.table({"text": column}), path)
        found = reading.found(path, Columns())
        documents = reading.read(found.source, reading.planned(found, 3))
        assert [document.text for document in documents] == every
        assert documents[3].error
        assert documents[3].error.message == "row 3: column 'text' is null, not a text"


def test_a_text_in_parquet_that_is_not_utf8(tmp_path: Path) -> None:
    """Costs its own row."""
    path = tmp_path / "in.parquet"
    good = pa.array([b"one", b"tw\xff", b"three"]).view(pa.binary())
    column = pa.Array.from_buffers(pa.string(), 3, good.buffers())
    pq.write_table(pa.table({"text": column}), path)
    found = reading.found(path, Columns())
    documents = reading.read(found.source, reading.planned(found, 3))
    assert [d.text for d in documents] == ["one", None, "three"]
    assert documents[1].error
    assert documents[1].error.code == "invalid_utf8"


def test_a_column_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": [b"one"], "words": [["one"]]}), path)
    with pytest.raises(UsageError, match="column 'text' is binary, not a text"):
        reading.found(path, Columns())
    with pytest.raises(UsageError, match="column 'words' is list<"):
        reading.found(path, Columns("words"))


def test_a_file_that_lacks_the_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["one"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"body": ["two"]}), tmp_path / "b.parquet")
    found = reading.found(tmp_path, Columns())
    with pytest.raises(UsageError, match=r"b.parquet: it has no column 'text', as the first"):
        reading.planned(found, 5)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("in.jsonl.bz2", b"BZh9", r"\.bz2 is not read, \.gz and \.zst are; unpack it"),
        ("in.jsonl", b'{"\\ud800": "x"}', r"column \\ud800: its name"),
        ("in.jsonl", b'{"n\\nx": "a", "b": "c"}', r"it has n\\nx \(string\), b"),
        ("in.jsonl", json.dumps({"n" * 99: "a", "b": "c"}).encode(), r"has n{60}… \(string\), b"),
    ],
)
def test_what_is_no_json_lines(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=says) as raised:
        sources.describe(str(tmp_path / name), Asked(), reading.ANYWHERE)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.csv.gz"])
def test_a_line_that_would_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A small file can hold any number of zeros."""
    monkeypatch.setattr(opened, "LARGEST", 1 << 20)
    monkeypatch.setattr(jsonl_lines, "LARGEST", 1 << 20)
    lines_of = {"in.jsonl.gz": b'{"text": "a"}\n' * 200, "in.csv.gz": b"text,n\n" + b"a,b\n" * 199}
    (tmp_path / name).write_bytes(gzip.compress(lines_of[name] + b"0" * (1 << 24)))
    found = reading.found(tmp_path / name, Columns())
    with pytest.raises(UsageError, match="line 201 is longer than 1 MiB"):
        reading.planned(found, 300)


# --- which files


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in (
        "b.jsonl",
        "a.jsonl",
        "deep/er/c.jsonl",
        ".hidden.jsonl",
        "_old.jsonl",
        "deep/_x/d.jsonl",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"text": name}) + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("location", "texts"),
    [
        ("*.jsonl", ["_old.jsonl", "a.jsonl", "b.jsonl"]),
        ("**/[a-c].jsonl", ["a.jsonl", "b.jsonl", "deep/er/c.jsonl"]),
        ("?.jsonl", ["a.jsonl", "b.jsonl"]),
        ("", ["a.jsonl", "b.jsonl", "deep/er/c.jsonl"]),
    ],
)
def test_files_in_order(data: Path, location: str, texts: list[str]) -> None:
    found = reading.found(f"{data}/{location}", Columns())
    documents = reading.read(found.source, reading.planned(found, 2))
    assert [document.text for document in documents] == texts
    assert found.source["files"] == len(texts)


def test_a_file_with_the_name_of_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[1].jsonl").write_text('{"text": "one"}\n')
    found = reading.found(tmp_path / "a[1].jsonl", Columns())
    assert "pattern" not in found.source


@pytest.mark.parametrize("location", ["", "**/*.jsonl"])
def test_links_are_followed_and_not_back_to_where_they_are(data: Path, location: str) -> None:
    (data / "linked").symlink_to(data / "deep")
    (data / "deep" / "back").symlink_to(data)
    (data / "deep" / "er" / "self").symlink_to(".")
    found = reading.found(f"{data}/{location}", Columns())
    names = [str(file["path"]).removeprefix(f"{data}/") for file in found.files]
    there = ["a.jsonl", "b.jsonl", "deep/er/c.jsonl", "linked/er/c.jsonl"]
    assert [name for name in names if "_" not in name] == there


def test_a_link_out_of_what_is_allowed(
    data: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "z.jsonl").write_text('{"text": "secret"}\n')
    (data / "out").symlink_to(elsewhere)
    with pytest.raises(NotAllowed, match=r"/out: not below what allowed_sources names"):
        reading.found(data, Columns(), Allowed((str(data),)))


@pytest.mark.parametrize("name", ["~nobody-is-called-so/in.jsonl", "a" * 5000, "/a" * 3000])
def test_a_name_that_can_be_no_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises((NotFound, UsageError)):
        sources.describe(name, Asked(), reading.ANYWHERE)


@pytest.mark.parametrize(
    "location", ["DATA/a.jsonl", "DATA/*.jsonl", "DATA", "https://127.0.0.1:9/a.jsonl"]
)
def test_what_is_said_of_a_dataset_and_is_none(data: Path, location: str) -> None:
    where = location.replace("DATA", str(data))
    for asked in (Asked(split="train"), Asked(config="x"), Asked(revision="main")):
        with pytest.raises(UsageError, match=r"--(split is|config and --revision are) for dataset"):
            sources.describe(where, asked, reading.ANYWHERE)


def test_nothing_there_is_one_line(data: Path) -> None:
    (data / "empty").mkdir()
    for location, message in (
        ("*.parquet", "no file has such a name"),
        ("empty", "no file is in it"),
        ("none.jsonl", "No such file"),
        ("none/*.jsonl", "no file has such a name"),
    ):
        with pytest.raises(NotFound, match=message):
            reading.found(data / location, Columns())
    with pytest.raises(UsageError, match=r"no \.\. after a wildcard"):
        reading.found(data / "*/../a.jsonl", Columns())


def test_files_of_several_kinds(data: Path) -> None:
    pq.write_table(pa.table({"text": ["p"]}), data / "p.parquet")
    (data / "README").write_text("Read me.")
    with pytest.raises(UsageError, match="several kinds: jsonl, parquet; choose one with --format"):
        reading.found(data, Columns())
    found = reading.found(data, Columns(), kind="parquet")
    assert [d.text for d in reading.read(found.source, reading.planned(found, 9))] == ["p"]
    with pytest.raises(UsageError, match="no file of a known kind"):
        reading.found(data / "READ*", Columns())
    with pytest.raises(UsageError, match="format 'xml': choose one of "):
        reading.found(data, Columns(), kind="xml")


def test_a_file_whose_name_tells_nothing_is_json_lines(tmp_path: Path) -> None:
    (tmp_path / "documents").write_text('{"text": "one"}\n')
    assert reading.found(tmp_path / "documents", Columns()).source["kind"] == "jsonl"


def test_a_job_of_an_earlier_version(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "one"}\n')
    stored = reading.found(path, COLUMNS).source
    kept = ("kind", "columns", "path", "size", "modified_ns", "ends_sha256")
    source = {name: stored[name] for name in kept}
    position = {"begin": 0, "end": 16, "line": 1}
    assert [d.text for d in reading.read(source, [NewShard(0, 1, position)])] == ["one"]
