"""The same documents as JSON lines, CSV, TSV, Arrow and text files are the same."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets
import fsspec
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.columns import Asked
from jobs.documents import Document, storable
from jobs.errors import JobError, UsageError
from jobs.sources import asked as asked_of_sources
from jobs.sources import describe
from tests import reading

ROWS: list[dict[str, Any]] = [
    {"id": f"n{number}", "text": text, "summary": f"S{number}."}
    for number, text in enumerate(
        ['A, "quoted" one; it.', "Über\nzwei Zeilen.\n", "\ttabs\t", "a|b", "Ends.", "日本語。"]
        * 40
    )
]


def as_jsonl(path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def as_csv(path: Path, delimiter: str = ",", **how: Any) -> Path:
    with path.open("w", newline="", encoding=how.pop("encoding", "utf-8")) as file:
        writer = csv.DictWriter(file, list(ROWS[0]), delimiter=delimiter, **how)
        writer.writeheader()
        writer.writerows(ROWS)
    return path


def as_arrow(path: Path, stream: bool, rows_a_batch: int = 7) -> Path:
    table = pa.Table.from_pylist(ROWS)
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, new(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows_a_batch)
    return path


def as_texts(folder: Path) -> Path:
    for number, row in enumerate(ROWS):
        inner = folder / f"{number // 100}"
        inner.mkdir(parents=True, exist_ok=True)
        (inner / f"{number:03}.txt").write_bytes(row["text"].encode())
    return folder


def documents(location: Path | str, size: int, **asked: Any) -> list[Document]:
    """Read shard by shard, the last one first."""
    options = {name: asked.pop(name, None) for name in ("format", "split")}
    found = describe(
        str(location), asked_of_sources.Asked(Asked(**asked), **options), reading.ANYWHERE
    )
    shards = reading.planned(found, size)
    assert all(shard.stop - shard.start <= size for shard in shards)
    with closing(reading.worker()) as opened:
        parts = [opened.read(reading.extent(found.source, shard)) for shard in reversed(shards)]
    return [document for part in reversed(parts) for document in part]


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_twins(tmp_path: Path, size: int) -> None:
    expected = documents(as_jsonl(tmp_path / "in.jsonl"), size)
    assert [document.text for document in expected] == [row["text"] for row in ROWS]
    assert expected[1].reference == "S1."
    twins = [
        as_csv(tmp_path / "in.csv"),
        as_csv(tmp_path / "bom.csv", encoding="utf-8-sig", lineterminator="\n"),
        as_csv(tmp_path / "semicolon.csv", ";", quoting=csv.QUOTE_ALL),
        as_csv(tmp_path / "bar.csv", "|"),
        as_csv(tmp_path / "tab.csv", "\t"),
        as_csv(tmp_path / "in.tsv", "\t"),
        as_arrow(tmp_path / "stream.arrow", stream=True),
        as_arrow(tmp_path / "file.arrow", stream=False),
    ]
    for twin in twins:
        assert documents(twin, size) == expected, twin.name
    texts = documents(as_texts(tmp_path / "texts"), size)
    assert [document.text for document in texts] == [row["text"] for row in ROWS]
    assert [texts[0].id, texts[-1].id] == ["0/000", "2/239"]


CELL = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('",;\n\r|'), max_size=12)


@given(
    st.lists(st.tuples(CELL, CELL), min_size=1, max_size=30),
    st.integers(1, 40),
    st.sampled_from(["\n", "\r\n"]),
)
def test_any_cells_any_shards(rows: list[tuple[str, str]], size: int, end: str) -> None:
    """Every record once, in whatever shards, as it was written."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "note"), *rows])
    with TemporaryDirectory() as folder:
        path = Path(folder, "in.csv")
        path.write_text(written.getvalue(), newline="")
        found = documents(path, size, text="text", id="", reference="note")
    assert [document.index for document in found] == list(range(len(rows)))
    for document, (text, note) in zip(found, rows, strict=True):
        assert document.reference == (storable(note) or None)
        assert document.text == (storable(text) if text.strip() else None)


def test_bad_records_are_documents_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(
        b'text,id\r\nGood.,1\r\n\r\nToo,many,2\r\nfew\r\n\xff,3\r\n,4\r\n"a\r\nb",\r\nx,"open'
    )
    found = documents(path, 3)
    errors = [
        document.error and (document.error.code, document.error.message) for document in found
    ]
    assert errors == [
        None,
        ("invalid_csv", "line 4: 3 fields, where the header has 2"),
        ("invalid_csv", "line 5: 1 fields, where the header has 2"),
        ("invalid_utf8", "line 6: not UTF-8 (invalid start byte)"),
        ("empty_document", "line 7: empty"),
        None,
        ("invalid_csv", "line 10: a quote that is opened is never closed"),
    ]
    assert (found[5].text, found[5].id) == ("a\r\nb", None)
    assert found[4].id == "4"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("a,b\nx,y\n".encode("utf-16"), "in.csv: it is UTF-16; convert it"),
        (b"title,url\nx,y\n", "title (string), url (string)"),
        (b"score,n\n1.5,2\n", "no column holds strings; it has score (double), n (int64)"),
        (b'te"xt,"open', "in.csv: its header, line 1: a quote that is opened"),
    ],
)
def test_a_table_that_can_not_be_used(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(data)
    with pytest.raises(UsageError) as raised:
        documents(path, 5)
    assert says in str(raised.value)


def test_columns_of_a_table_that_have_no_name_or_the_same(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(",text,text\n0,One.,Two.\n")
    found = describe(str(path), asked_of_sources.Asked(), reading.ANYWHERE)
    (shard,) = reading.planned(found, 5)
    with closing(reading.worker()) as opened:
        (row,) = opened.rows(reading.extent(found.source, shard))
    assert row == {"Unnamed: 0": "0", "text": "One.", "text.1": "Two."}


@pytest.mark.parametrize("stream", [True, False])
def test_a_shard_of_arrow_is_read_alone(tmp_path: Path, stream: bool) -> None:
    """Whatever stands before it in the file: here, nothing that can be read."""
    path = as_arrow(tmp_path / "in.arrow", stream)
    found = describe(str(path), asked_of_sources.Asked(), reading.ANYWHERE)
    last = reading.planned(found, 100)[-1]
    data = bytearray(path.read_bytes())
    middle = data.index(b"Ends.")
    assert last.position is not None
    data[middle : len(data) // 2] = bytes(len(data) // 2 - middle)
    path.write_bytes(data)
    changed = describe(str(path), asked_of_sources.Asked(), reading.ANYWHERE).source
    with closing(reading.worker()) as opened:
        texts = [document.text for document in opened.read(reading.extent(changed, last))]
    assert texts == [row["text"] for row in ROWS[200:]]


def test_arrow_reads_only_the_columns_that_are_wanted(tmp_path: Path) -> None:
    """Another one may be of any type, even one that Python has no value for."""
    path = tmp_path / "in.arrow"
    text = pa.array(["One.", None], pa.large_string())
    late = pa.array([2**62, 0], pa.timestamp("s"))
    with pa.OSFile(str(path), "wb") as file:
        table = pa.table({"late": late, "text": text.dictionary_encode(), "label": [1, 2]})
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    good, bad = documents(path, 5)
    assert good == Document(0, "One.")
    assert bad.error is not None
    assert bad.error.code == "text_not_string"


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "it is empty"), (b"nonsense" * 99, "damaged, or not"), (b"ARROW1", "damaged")],
)
def test_what_is_no_arrow(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "in.arrow"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=f"in.arrow: {says}"):
        documents(path, 5)


def test_arrow_that_is_cut_off(tmp_path: Path) -> None:
    path = as_arrow(tmp_path / "in.arrow", stream=True)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(UsageError, match="damaged"):
        documents(path, 5)


def test_a_stream_with_dictionaries(tmp_path: Path) -> None:
    path = tmp_path / "in.arrow"
    table = pa.table({"text": pa.array(["a", "a"]).dictionary_encode()})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(UsageError, match="dictionary columns"):
        documents(path, 5)


def test_text_files(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "b.md").write_bytes(b"\xef\xbb\xbf# Title\n")
    (folder / "a.v2.txt").write_text("A.")
    (folder / "c.txt").write_bytes(b"\xff")
    (folder / "d.txt").write_bytes(b"")
    (folder / ".hidden.txt").write_text("no")
    found = documents(folder, 2)
    assert [(document.id, document.text) for document in found] == [
        ("a.v2", "A."),
        ("b", "# Title\n"),
        (None, None),
        ("d", None),
    ]
    errors = [
        document.error and (document.error.code, document.error.message) for document in found
    ]
    assert errors[2:] == [
        ("invalid_utf8", "c.txt: not UTF-8 (invalid start byte)"),
        ("empty_document", "d.txt: empty"),
    ]
    assert [document.id for document in documents(folder / "*.txt", 9)] == ["a.v2", None, "d"]
    assert [document.id for document in documents(folder / "b.md", 9)] == ["b"]


def test_a_text_file_that_changes_ends_the_job(tmp_path: Path) -> None:
    folder = as_texts(tmp_path / "in")
    found = describe(str(folder), asked_of_sources.Asked(), reading.ANYWHERE)
    first, *_, last = reading.planned(found, 100)
    (folder / "0" / "003.txt").write_text("Changed.")
    with closing(reading.worker()) as opened:
        assert len(opened.read(reading.extent(found.source, last))) == 40
        with pytest.raises(JobError) as raised:
            opened.read(reading.extent(found.source, first))
    assert raised.value.code == "source_changed"
    assert "0/003.txt" in str(raised.value)


def test_compressed_text_files_are_read_from_their_beginning_again(tmp_path: Path) -> None:
    """A worker keeps compressed files open, for others to go on where it ended."""
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"One. Two."))
    found = describe(str(tmp_path), asked_of_sources.Asked(), reading.ANYWHERE)
    (shard,) = reading.planned(found, 100)
    with closing(reading.worker()) as opened:
        opened.check(found.source)
        for _ in range(2):
            (document,) = opened.read(reading.extent(found.source, shard))
            assert (document.id, document.text) == ("a", "One. Two.")


def test_saved_datasets(tmp_path: Path) -> None:
    """`save_to_disk` in several files, and of several splits."""
    whole = datasets.Dataset.from_list(ROWS)
    whole.save_to_disk(tmp_path / "one", num_shards=3)
    datasets.DatasetDict(train=whole, test=whole.select(range(5))).save_to_disk(tmp_path / "two")
    expected = documents(as_jsonl(tmp_path / "in.jsonl"), 50)
    assert documents(tmp_path / "one", 50) == expected
    assert documents(tmp_path / "two", 50, split="train") == expected
    assert documents(tmp_path / "two", 50, split="test") == expected[:5]
    for wrong in (None, "dev"):
        with pytest.raises(UsageError, match=r"with --split; there are: train, test"):
            documents(tmp_path / "two", 50, split=wrong)
    with pytest.raises(UsageError, match="leave out --split"):
        documents(tmp_path / "one", 50, split="train")
    with pytest.raises(UsageError, match="none that save_to_disk wrote"):
        documents(tmp_path / "in.jsonl", 50, split="train")
    (tmp_path / "one" / "state.json").write_text("{}")
    with pytest.raises(UsageError, match="not what save_to_disk writes"):
        documents(tmp_path / "one", 50)


def test_a_folder_of_several_kinds(tmp_path: Path) -> None:
    as_csv(tmp_path / "in.csv")
    as_arrow(tmp_path / "in.arrow", stream=True)
    with pytest.raises(UsageError, match="several kinds: arrow, csv; choose one with --format"):
        documents(tmp_path, 50)
    assert len(documents(tmp_path, 50, format="csv")) == len(ROWS)


@pytest.mark.parametrize("name", ["{}.csv", "{}.arrow"])
def test_several_files_of_which_one_has_no_text(tmp_path: Path, name: str) -> None:
    """Their columns may differ in order and number, but for the text."""
    tables = [{"text": ["One."], "n": [1]}, {"id": ["b"], "text": ["Two."]}, {"body": ["Three."]}]
    for number, table in enumerate(tables):
        path = tmp_path / name.format(number)
        made = pa.table(table)
        if path.suffix == ".csv":
            pyarrow.csv.write_csv(made, path)
        else:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, made.schema) as out:
                out.write_table(made)
    with pytest.raises(UsageError, match=r"2\.\w+: it has no column 'text', as the first file"):
        documents(tmp_path, 5)
    path.unlink()
    assert [document.text for document in documents(tmp_path, 5)] == ["One.", "Two."]


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A place that only fsspec reaches."""
    place = fsspec.filesystem("memory")
    place.makedirs("/twins")
    yield "memory://twins"
    place.rm("/twins", recursive=True)


def test_tables_elsewhere(tmp_path: Path, elsewhere: str) -> None:
    expected = documents(as_jsonl(tmp_path / "in.jsonl"), 50)
    as_arrow(tmp_path / "stream.arrow", stream=True)
    as_arrow(tmp_path / "file.arrow", stream=False)
    (tmp_path / "in.csv.gz").write_bytes(gzip.compress(as_csv(tmp_path / "in.csv").read_bytes()))
    (tmp_path / "in.tsv.gz").write_bytes(
        gzip.compress(as_csv(tmp_path / "in.tsv", "\t").read_bytes())
    )
    for name in ("stream.arrow", "file.arrow", "in.csv", "in.csv.gz", "in.tsv.gz"):
        fsspec.filesystem("memory").put(str(tmp_path / name), f"/twins/{name}")
        assert documents(f"{elsewhere}/{name}", 50) == expected, name
        assert documents(tmp_path / name, 50) == expected, name


def test_text_files_elsewhere(tmp_path: Path, elsewhere: str) -> None:
    fsspec.filesystem("memory").put(str(as_texts(tmp_path / "in")), "/twins/in", recursive=True)
    found = documents(f"{elsewhere}/in/**/*.txt", 50)
    assert [document.text for document in found] == [row["text"] for row in ROWS]
    assert found[0].id == "0/000"
