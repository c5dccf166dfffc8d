import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.parameters import Effective
from worker.engines.lead import LeadEngine, first_sentences


@pytest.mark.parametrize(
    ("text", "count", "lead"),
    [
        ("One. Two! Three? Four.", 3, "One. Two! Three?"),
        ("One. Two.", 3, "One. Two."),
        ("A headline\nThe text. More.", 2, "A headline The text."),
        ("  \n\n First.  Second.", 1, "First."),
        ("Version 1.2 is out. See x.y/z.", 1, "Version 1.2 is out."),
        ("What?! Really.", 1, "What?!"),
        ("No end", 2, "No end"),
        ("Windows line\r\nNext", 1, "Windows line"),
        (" \n\t ", 3, ""),
        ("", 3, ""),
    ],
)
def test_first_sentences(text: str, count: int, lead: str) -> None:
    assert first_sentences(text, count) == lead


def test_ids_are_characters_and_tokens_are_words() -> None:
    engine = LeadEngine(1)
    [encoded] = engine.encode(["Größe 🚆 zählt. Und mehr."], Effective())
    assert (len(encoded.ids), encoded.tokens, encoded.truncated) == (24, 5, False)
    [generated] = engine.generate([encoded.ids], Effective(), [0])
    assert (generated.tokens, generated.finish_reason) == (3, "stop")
    assert engine.decode([generated]) == ["Größe 🚆 zählt."]


def test_max_input_tokens_cuts_after_so_many_words() -> None:
    engine = LeadEngine(3)
    [whole, cut] = engine.encode(
        ["one two", "one  two\nthree. four"], Effective(max_input_tokens=2)
    )
    assert (whole.tokens, whole.truncated) == (2, False)
    assert (cut.tokens, cut.truncated) == (2, True)
    assert engine.decode(engine.generate([cut.ids], Effective(), [0])) == ["one  two"]


@given(st.text(max_size=200), st.integers(1, 5))
def test_a_lead_is_made_of_the_documents_own_words(text: str, count: int) -> None:
    engine = LeadEngine(count)
    [encoded] = engine.encode([text], Effective())
    [generated] = engine.generate([encoded.ids], Effective(), [0])
    [summary] = engine.decode([generated])
    words = text.split()
    assert summary.split() == words[: len(summary.split())]
    assert generated.tokens == len(summary.split())
    assert encoded.tokens == len(words)
    assert bool(summary) == bool(words)


def test_lead_never_brings_in_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from worker import models\n"
        "from jobs.parameters import Parameters\n"
        "lead = models.resolve('lead-3', Path('unused'))\n"
        "models.load(lead, 'lead', None, 'cpu')\n"
        "models.settle(lead, Parameters(), None)\n"
        "print(sorted({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
