"""Where long documents are cut, and what becomes of the pieces."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.documents import Document
from jobs.job import Part, Row
from jobs.parameters import Effective, Parameters
from tests.models import documents, tiny_bart, tiny_llama, tiny_t5
from worker import long_documents, models
from worker.engines import Encoded, Engine
from worker.engines.lead import LeadEngine
from worker.items import Item, Written
from worker.reduction import Reduction, part

LEAD = LeadEngine(1)


@pytest.fixture(scope="module", params=["bart", "t5", "llama"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("model") / request.param
    made: dict[str, Callable[[Path], Path]]
    made = {"bart": tiny_bart, "t5": partial(tiny_t5, tied=True), "llama": tiny_llama}
    resolved = models.resolve(str(made[request.param](folder)), folder)
    return models.load(resolved, "transformers", "float32", "cpu")


def words(count: int) -> Effective:
    return Effective(max_input_tokens=count, long_documents="map-reduce")


def cut(text: str, limit: int) -> list[str]:
    return [text[a:b] for a, b in long_documents.spans(text, LEAD.token_spans(text), limit)]


# --- where


def test_pieces_end_at_sentence_ends_and_overlap() -> None:
    text = " ".join(f"Sentence {number} has six words here." for number in range(20))
    pieces = cut(text, 64)
    assert all(piece.endswith("here.") and piece.startswith("Sentence") for piece in pieces)
    for one, other in pairwise(pieces):
        assert one.split()[-6:] == other.split()[:6], "one sentence, an eighth at most, comes twice"


def test_a_sentence_too_long_is_cut_inside() -> None:
    text = " ".join(f"word{number}" for number in range(50))
    pieces = cut(text, 20)
    assert all(len(piece.split()) <= 20 for piece in pieces)
    assert len(pieces) == 3
    assert set(" ".join(pieces).split()) == set(text.split())


def test_no_sentence_of_one_word_is_alone() -> None:
    assert cut("One. Two. Three. Four. Five. Six.", 3) == ["One. Two. Three.", "Four. Five. Six."]


def test_a_text_without_spaces() -> None:
    text = "磨坊研磨每一份文件。它磨得很慢。没有遗漏也不重复。" * 20
    tokens = [(place, place + 1) for place in range(len(text))]
    found = long_documents.spans(text, tokens, 50)
    assert all(stop - start <= 50 and text[stop - 1] == "。" for start, stop in found)
    assert _covered(text, found)


@given(st.text(alphabet="ab .!?\n\té\u0301👩‍👧磨。", max_size=300), st.integers(1, 30))
def test_pieces_cover_the_text_and_none_is_too_long(text: str, limit: int) -> None:
    pieces = long_documents.pieces(LEAD, f"x{text}", words(limit))
    assert all(piece.encoded.tokens <= limit for piece in pieces)
    assert not any(piece.encoded.truncated for piece in pieces)
    assert _covered(f"x{text}", [(piece.start, piece.stop) for piece in pieces])


# Of the engines' fixture, which is of a module.
@settings(max_examples=40)
@given(text=st.text(alphabet="ab .!?\n\té\u0301👩‍👧磨。<|user|>", max_size=300))
def test_a_model_counts_as_the_chunks_were_counted(loaded: Engine, text: str) -> None:
    """Special tokens, prompt and template included: what fits is not cut again."""
    effective = Effective(prompt="Short: {text}", max_input_tokens=40, long_documents="map-reduce")
    text = f"x{text} {documents(80)[79]}"
    pieces = long_documents.pieces(loaded, text, effective)
    again = loaded.encode([text[piece.start : piece.stop] for piece in pieces], effective)
    assert [piece.encoded for piece in pieces] == again
    assert not any(each.truncated for each in again)
    assert _covered(text, [(piece.start, piece.stop) for piece in pieces])


def test_pieces_are_as_long_as_may_be(loaded: Engine) -> None:
    text = " ".join(f"The mill grinds document {number}." for number in range(80))
    effective = Effective(max_input_tokens=90, long_documents="map-reduce")
    lengths = [piece.encoded.tokens for piece in long_documents.pieces(loaded, text, effective)]
    assert min(lengths[:-1]) > 70


def test_two_threads_encode_at_once(loaded: Engine) -> None:
    """One reads ahead and cuts; the other encodes what the parts of a window came to."""
    texts = documents(80)
    limits = [Effective(max_input_tokens=limit, prompt="{text}") for limit in (20, None)]
    alone = [loaded.encode(texts, each) for each in limits]
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(loaded.encode, [texts] * 40, limits * 20))
    assert together == alone * 20


def test_marks_of_the_model_in_a_text(tmp_path: Path) -> None:
    """Each is one token to who does not look, and many as the text that it is."""
    resolved = models.resolve(str(tiny_llama(tmp_path)), tmp_path)
    llama = models.load(resolved, "transformers", "float32", "cpu")
    effective = Effective(prompt="{text}", max_input_tokens=60, long_documents="map-reduce")
    pieces = long_documents.pieces(llama, "<|user|> " * 60 + "The end.", effective)
    assert len(pieces) > 2
    assert all(piece.encoded.tokens <= 60 for piece in pieces)
    assert not any(piece.encoded.truncated for piece in pieces)


def test_where_nothing_has_room_it_is_truncated(tmp_path: Path) -> None:
    resolved = models.resolve(str(tiny_bart(tmp_path)), tmp_path)
    bart = models.load(resolved, "transformers", "float32", "cpu")
    effective = Effective(max_input_tokens=3, long_documents="map-reduce")
    [piece] = long_documents.pieces(bart, "👩‍👩‍👧‍👦" * 9, effective)
    assert piece.encoded.truncated


def test_how_many_parts_are_foreseen() -> None:
    text = " ".join(f"Sentence {number} has six words here." for number in range(200))
    for limit in (40, 64, 100, 700):
        pieces = long_documents.pieces(LEAD, text, words(limit))
        foreseen = long_documents.count(1200, limit, 0)
        assert 0.7 * len(pieces) <= foreseen <= len(pieces) + 1


def _covered(text: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether all but white space is in one, and each begins behind the one before."""
    places = {place for start, stop in spans for place in range(start, stop)}
    ordered = all(one < other for one, other in pairwise(spans))
    return ordered and not "".join(
        char for place, char in enumerate(text) if place not in places
    ).strip("\u0085" + " \n\t\x0b\x0c\r")


# --- what becomes of them


def reduced(
    text: str, limit: int, kept: Sequence[Part] = (), said: str | None = None
) -> tuple[Row, list[Item]]:
    """The row, and the items that the model did: each comes to its first sentence, or `said`."""
    document = Reduction(LEAD, words(limit), 1, Document(7, text, "id", "reference"), kept)
    done: list[Item] = []
    following = document.begin()
    while not isinstance(following, Row):
        items, following = following, []
        for item in items:
            done.append(item)
            following = document.take(item, written(item.encoded, said)) or following
    return following, done


def written(encoded: Encoded, said: str | None = None) -> Written:
    [made] = LEAD.generate([encoded.ids], Effective(), [0])
    [text] = LEAD.decode([made])
    return Written(text if said is None else said, made.tokens, "stop")


TEXT = " ".join(f"S{number} a b. And more of it." for number in range(60))


def test_summaries_are_summarized_until_they_fit() -> None:
    row, done = reduced(TEXT, 30)
    assert (row.summary, row.depth, row.truncated) == ("S0 a b.", 2, False)
    assert (row.index, row.id, row.reference) == (7, "id", "reference")
    depths = [item.depth for item in done]
    assert depths == sorted(depths)
    assert [depths.count(depth) for depth in (0, 1, 2)] == [15, 2, 1]
    assert row.input_tokens == sum(item.encoded.tokens for item in done)
    assert row.output_tokens == 3 * len(done)
    assert row.spans is not None
    assert len(row.spans) == depths.count(0)
    assert row.spans[0][0] == 0
    assert row.spans[-1][1] == len(TEXT)


def test_each_item_has_a_seed_of_its_own() -> None:
    _, done = reduced(TEXT, 30)
    seeds = {Effective().seed_of(*item.seed_of) for item in done}
    assert len(seeds) == len(done)
    whole = Item(1, Document(7, TEXT), LEAD.encode([TEXT], Effective())[0])
    assert whole.seed_of == (7,), "as before there were parts"


def test_what_gets_no_shorter_is_cut_and_said_to_be() -> None:
    row, done = reduced("word " * 100, 10)  # one sentence: its parts come to themselves
    assert row.truncated
    assert row.depth == 1
    assert [item.depth for item in done].count(1) == 1


def test_white_space_is_no_part() -> None:
    row, [item] = reduced("One two three." + " " * 50 + "\n", 3)
    assert (row.summary, row.depth, row.spans) == ("One two three.", 0, None)
    assert item.part is None


def test_nothing_comes_of_nothing() -> None:
    row, done = reduced(TEXT, 30, said=" ")
    assert (row.summary, row.finish_reason) == ("", "stop")
    assert {item.depth for item in done} == {0}


def test_parts_that_were_kept_are_not_done_again() -> None:
    whole, done = reduced(TEXT, 30)
    parts = [part(item, item.part, written(item.encoded)) for item in done if item.part]
    for some in (parts[:3], parts[3:], parts):
        row, again = reduced(TEXT, 30, kept=some)
        assert row == whole
        assert len(again) == len(done) - len(some)


def test_parts_that_were_cut_elsewhere_are() -> None:
    """By another version of the splitter, say."""
    whole, done = reduced(TEXT, 30)
    parts = [part(item, item.part, written(item.encoded)) for item in done if item.part]
    moved = [replace(each, start=each.start + 1) for each in parts]
    assert reduced(TEXT, 30, kept=moved) == (whole, done)


def test_a_job_that_takes_no_long_ones_says_how_long() -> None:
    message = long_documents.too_long(LEAD, "word " * 1234, words(1000))
    assert message.startswith("1,234 tokens, and 1,000 is the most that the model reads; choose ")


def test_who_decided(tmp_path: Path) -> None:
    resolved = models.resolve("lead-1", tmp_path)
    asked = Parameters(long_documents="fail")
    effective = models.settle(resolved, asked, None)
    assert effective.long_documents == "fail"
    assert models.origins(resolved, asked, None, effective)["long_documents"] == "you"
    assert models.origins(resolved, Parameters(), None, effective)["long_documents"] == "gistmill"
