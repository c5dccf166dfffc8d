"""Guessing columns, of datasets that everybody knows and of some that nobody does."""

import pytest

from jobs.columns import Asked, Schema, choose, of_lines, of_records
from jobs.documents import Columns, record_of_line
from jobs.errors import UsageError


def schema(names: str, **others: str) -> Schema:
    """Columns of strings, but for `others`."""
    return Schema({**dict.fromkeys(names.split(), "string"), **others})


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (schema("document summary id"), ("document", "id", "summary")),  # xsum
        (schema("article highlights id"), ("article", "id", "highlights")),  # cnn_dailymail
        (schema("id dialogue summary"), ("dialogue", "id", "summary")),  # samsum
        (schema("id dialogue summary topic"), ("dialogue", "id", "summary")),  # dialogsum
        (schema("document summary"), ("document", None, "summary")),  # multi_news, gigaword
        (schema("text summary title"), ("text", None, "summary")),  # billsum
        (
            schema("author body normalizedBody subreddit subreddit_id id content summary"),
            ("content", "id", "summary"),  # webis/tldr-17
        ),
        (schema("source target"), ("source", None, "target")),  # scitldr, flattened
        (schema("article abstract"), ("article", None, "abstract")),  # ccdv/arxiv, ccdv/pubmed
        (
            schema("article abstract section_names"),
            ("article", None, "abstract"),  # scientific_papers
        ),
        (schema("description abstract"), ("description", None, "abstract")),  # big_patent
        (schema("report summary"), ("report", None, "summary")),  # ccdv/govreport
        (
            schema(
                "bid source chapter_path book_id summary_id content summary chapter summary_text",
                content="null",
            ),
            ("chapter", None, "summary_text"),  # kmfoda/booksum
        ),
        (schema("text headline title"), ("text", None, "headline")),  # wikihow
        (schema("email_body subject_line"), ("email_body", None, "subject_line")),  # aeslc
        (schema("id url title summary text"), ("text", "id", "summary")),  # xlsum
        (schema("id url title text"), ("text", "id", None)),  # wikipedia
        (schema("text", label="int64"), ("text", None, None)),  # imdb
        (schema("id title abstract authors"), ("abstract", "id", None)),  # arXiv's metadata
        (schema("Text Summary", ID="int32"), ("Text", "ID", "Summary")),
        (schema("Befund", n="int64"), ("Befund", None, None)),
        (schema("id notes", score="double"), ("notes", "id", None)),
        (Schema({"text": "large_string", "id": "uint64"}), ("text", "id", None)),
        (
            Schema({"text": "dictionary<values=string, indices=int32, ordered=0>", "id": "list"}),
            ("text", None, None),
        ),
    ],
)
def test_a_guess(columns: Schema, found: tuple[str, str | None, str | None]) -> None:
    chosen = choose(columns, Asked(), "here")
    assert chosen.columns == Columns(*found)
    names = zip(("text", "id", "reference"), found, strict=True)
    assert chosen.guessed == tuple(name for name, column in names if column)


@pytest.mark.parametrize(
    "columns",
    [
        schema("title url"),
        schema("", source="list<item: string>", target="list<item: string>"),  # scitldr itself
        schema("", n="int64"),
        schema("id summary"),
    ],
)
def test_no_guess_is_one_line_that_lists_the_columns(columns: Schema) -> None:
    with pytest.raises(UsageError) as raised:
        choose(columns, Asked(), "in.parquet")
    said = str(raised.value)
    assert said.startswith("in.parquet: no column ")
    assert all(f"{name} ({kind})" in said for name, kind in columns.types.items())
    assert said.endswith("choose one with --text-column")


def test_what_is_named_goes_before_what_is_guessed() -> None:
    columns = schema("document summary id title")
    chosen = choose(columns, Asked(text="title", reference="document"), "here")
    assert (chosen.columns, chosen.guessed) == (Columns("title", "id", "document"), ("id",))
    turned = choose(columns, Asked(reference="document"), "here")
    assert turned.columns.reference == "document"
    assert turned.columns.text != "document"


def test_nothing_is_a_choice() -> None:
    none = choose(schema("text summary id"), Asked(id="", reference=""), "here")
    assert none.columns == Columns("text", None, None)
    with pytest.raises(UsageError, match="needs a text column"):
        choose(schema("text"), Asked(text=""), "here")


@pytest.mark.parametrize("asked", [Asked(text="txt"), Asked(id="txt"), Asked(reference="txt")])
def test_a_typo(asked: Asked) -> None:
    with pytest.raises(UsageError, match=r"here: --\w+-column 'txt': .* did you mean 'text'\?"):
        choose(schema("text other"), asked, "here")


def test_a_text_must_be_one() -> None:
    with pytest.raises(UsageError, match="column 'words' is list<string>, not a text"):
        choose(schema("text", words="list<string>"), Asked(text="words"), "here")


def test_records_have_columns_too() -> None:
    """A bad value does not hide the good ones, and what may come later is believed."""
    columns = of_records([{"text": 3, "n": None}, {"text": "a", "n": 1}, {"words": ["a"]}])
    assert columns.types == {"text": "string", "n": "int64", "words": "list"}
    assert choose(columns, Asked(reference="gold"), "-").columns == Columns("text", None, "gold")
    with pytest.raises(UsageError, match="did you mean"):
        choose(columns, Asked(reference="word"), "-")
    with pytest.raises(UsageError, match="--text-column 'gold': it has"):
        choose(columns, Asked(text="gold"), "-")


def test_a_column_of_nothing_yet_is_the_text_by_its_name() -> None:
    columns = of_records([{"text": None, "id": 1}])
    assert choose(columns, Asked(), "-").columns == Columns("text", "id")
    assert choose(columns, Asked(text="text"), "-").columns.text == "text"


def test_lines_of_which_none_can_be_read() -> None:
    """Whoever names the text has it his way: the lines say what is wrong."""
    lines = of_lines([record_of_line(b"text,id"), record_of_line(b"[1]")])
    with pytest.raises(UsageError, match=r"^in: none of its first lines can be read: not JSON"):
        choose(lines, Asked(), "in")
    assert choose(lines, Asked(text="text"), "in").columns == Columns("text")
    assert of_lines([record_of_line(b"[1]"), record_of_line(b"{}")]).unreadable is None


def test_without_any_column_the_documents_say_what_is_wrong() -> None:
    assert choose(of_records([]), Asked(), "-").columns == Columns("text")
    assert choose(of_records([]), Asked(text="body", id="key"), "-").columns == Columns(
        "body", "key"
    )
