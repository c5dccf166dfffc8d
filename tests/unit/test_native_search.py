"""The parts of the native engine that know no model: rules, beams, sampling, scoring.

The oracle is transformers, part by part.
"""

from typing import Any

import pytest
import torch
from transformers import (
    ForcedEOSTokenLogitsProcessor,
    NoBadWordsLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.generation.logits_process import MinPLogitsWarper

from worker.engines.native import scoring
from worker.engines.native.beams import Beams, EarlyStopping
from worker.engines.native.rows import Rows
from worker.engines.native.rules import Rules
from worker.engines.native.sampling import Greedy, Sampler

CPU = torch.device("cpu")
END = torch.tensor([2])


def _rows(length: int, vocabulary: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(length)
    return torch.randint(0, vocabulary, (40, length)), torch.randn(40, vocabulary)


@pytest.mark.parametrize("length", [1, 2, 3, 9, 30])
@pytest.mark.parametrize(
    ("fields", "processor"),
    [
        ({"no_repeat_ngram_size": 1}, NoRepeatNGramLogitsProcessor(1)),
        ({"no_repeat_ngram_size": 2}, NoRepeatNGramLogitsProcessor(2)),
        ({"no_repeat_ngram_size": 3}, NoRepeatNGramLogitsProcessor(3)),
        ({"repetition_penalty": 1.4}, RepetitionPenaltyLogitsProcessor(1.4)),
        ({"suppress_tokens": [3, 5]}, SuppressTokensLogitsProcessor([3, 5])),
        (
            {"bad_words_ids": [[7], [3, 4], [4, 5, 6]]},
            NoBadWordsLogitsProcessor([[7], [3, 4], [4, 5, 6]], 2),
        ),
    ],
)
def test_a_rule_does_what_the_librarys_does(
    length: int, fields: dict[str, Any], processor: Any
) -> None:
    sequences, logits = _rows(length)
    expected = processor(sequences, logits.clone())
    rules = Rules({"max_new_tokens": 99, **fields}, [2], 1, CPU)
    rules.apply(logits, sequences, length - 1)
    assert torch.equal(logits, expected)


def test_padding_on_the_left_counts_for_nothing() -> None:
    sequences, logits = _rows(9)
    rules = Rules(
        {"max_new_tokens": 9, "no_repeat_ngram_size": 2, "repetition_penalty": 2.0}, [2], 5, CPU
    )
    padded = torch.cat((torch.full((40, 6), -1), sequences), dim=1)
    expected = logits.clone()
    rules.apply(expected, sequences, 4)
    rules.apply(logits, padded, 4)
    assert torch.equal(logits, expected)


def test_a_penalty_on_log_probabilities_needs_no_pass_over_the_vocabulary() -> None:
    sequences, logits = _rows(9)
    expected = RepetitionPenaltyLogitsProcessor(1.4)(sequences, logits.log_softmax(-1))
    normalizer = scoring.normalizer(logits)
    rules = Rules({"max_new_tokens": 99, "repetition_penalty": 1.4}, [2], 1, CPU)
    rules.apply(logits, sequences, 8, normalizer)
    assert torch.allclose(logits - normalizer, expected, atol=1e-5)


def test_lengths_and_forced_tokens() -> None:
    fields = {"max_length": 8, "min_length": 4, "forced_eos_token_id": 2, "forced_bos_token_id": 5}
    rules = Rules(fields, [2], 1, CPU)
    assert [rules.forced(step) for step in range(7)] == [5, *[None] * 5, 2]
    processor = ForcedEOSTokenLogitsProcessor(8, 2)
    assert processor(torch.zeros(1, 7, dtype=torch.long), torch.zeros(1, 9))[0].argmax() == 2
    for step, may_end in [(0, False), (2, False), (3, True)]:
        logits = torch.zeros(1, 9)
        rules.apply(logits, torch.full((1, 1 + step), 7), step)
        assert bool(logits[0, 2] == 0) is may_end


@pytest.mark.parametrize("vocabulary", [7, 400, 50_265])
def test_the_best_of_a_row_are_found_in_groups(vocabulary: int) -> None:
    logits = torch.randn(3, vocabulary)
    values, ids = scoring.best(logits, 6)
    expected = logits.topk(6)
    assert torch.equal(values, expected.values)
    assert torch.equal(ids, expected.indices)
    assert torch.allclose(scoring.normalizer(logits)[:, 0], logits.logsumexp(-1), atol=1e-5)


def test_a_beam_that_ends_waits_for_the_others_and_wins_by_its_score() -> None:
    beams = Beams(torch.tensor([[0]]), 2, most=3, ends=END, early_stopping=True)
    nothing = float("-inf")
    first = torch.tensor([[[-0.5, -0.7, -3.0, -4.0], [nothing] * 4]])
    ids = torch.tensor([[[2, 5, 6, 7], [2, 5, 6, 7]]])
    parents, tokens = beams.advance(first, ids)
    assert (parents.tolist(), tokens.tolist()) == ([[0, 0]], [[5, 6]])
    assert beams.done().tolist() == [False]
    beams.advance(torch.tensor([[[-0.6, -0.7, -1.0, -1.0], [-0.5, -0.6, -1.0, -1.0]]]), ids)
    assert beams.done().tolist() == [True]
    said, lengths, scores = beams.best()
    assert said[0, : lengths[0]].tolist() == [2]
    assert scores.tolist() == pytest.approx([-0.5])


@pytest.mark.parametrize(
    ("length_penalty", "most", "settled"),
    [
        (1.0, 3, True),  # -0.7 / 3 at best
        (1.0, 8, False),  # -0.7 / 8
        (2.0, 3, False),
        (0.0, 99, True),
        (-1.0, 3, True),  # -0.7 * 2 at best
    ],
)
@pytest.mark.parametrize("early_stopping", [True, False, "never"])
def test_a_document_leaves_once_nothing_can_be_better_than_its_best(
    length_penalty: float, most: int, settled: bool, early_stopping: EarlyStopping
) -> None:
    beams = Beams(torch.tensor([[0]]), 2, most, END, length_penalty, early_stopping)
    nothing = float("-inf")
    first = torch.tensor([[[-0.1, -0.7, -3.0, -4.0], [nothing] * 4]])
    beams.advance(first, torch.tensor([[[2, 5, 6, 7], [2, 5, 6, 7]]]))
    assert beams.done().tolist() == [settled]


def test_a_document_that_stays_is_not_mixed_up_with_one_that_leaves() -> None:
    torch.manual_seed(0)
    log_probs = torch.randn(4, 3, 3, 6).log_softmax(-1)
    ids = torch.arange(10, 16).expand(3, 3, 6)
    whole = Beams(torch.zeros(3, 1, dtype=torch.long), 3, 4, END)
    parted = Beams(torch.zeros(3, 1, dtype=torch.long), 3, 4, END)
    for step, each in enumerate(log_probs):
        whole.advance(each, ids)
        if step == 2:
            parted.keep(torch.tensor([2, 1]))
        chosen = slice(None) if step < 2 else torch.tensor([2, 1])
        parted.advance(each[chosen], ids[chosen])
    assert torch.equal(whole.best()[0][[2, 1]], parted.best()[0])
    assert torch.equal(whole.best()[2][[2, 1]], parted.best()[2])


def test_a_row_ends_once() -> None:
    rows = Rows(torch.zeros(2, 1, dtype=torch.long), 3, END, Greedy())
    for tokens in ([4, 2], [2, 5], [6, 2]):
        rows.advance(torch.tensor(tokens))
    ids, lengths, _ = rows.best()
    assert [row[:length].tolist() for row, length in zip(ids, lengths, strict=True)] == [
        [4, 2],
        [2],
    ]


@pytest.mark.parametrize(
    ("fields", "warpers"),
    [
        ({"temperature": 0.7, "top_k": 0}, []),
        ({"top_k": 5}, [TopKLogitsWarper(5)]),
        ({"top_k": 0, "top_p": 0.6}, [TopPLogitsWarper(0.6)]),
        ({"top_k": 0, "min_p": 0.2}, [MinPLogitsWarper(0.2)]),
        (
            {"top_k": 20, "top_p": 0.8, "min_p": 0.1},
            [TopKLogitsWarper(20), TopPLogitsWarper(0.8), MinPLogitsWarper(0.1)],
        ),
    ],
)
def test_a_sample_is_drawn_from_the_librarys_distribution(
    fields: dict[str, Any], warpers: list[Any]
) -> None:
    torch.manual_seed(0)
    logits = 2 * torch.randn(1, 30)
    expected = logits / fields.get("temperature", 1.0)
    for warper in warpers:
        expected = warper(None, expected)
    expected = expected.softmax(dim=-1)
    draws = 20_000
    sampler = Sampler(fields, range(draws), 1, CPU)
    kept, ids = sampler.distribution(logits)
    exact = torch.zeros(1, 30).scatter(1, ids, kept / kept.sum())
    assert torch.allclose(exact, expected, atol=1e-5)
    drawn = sampler.choose(logits.expand(draws, -1), 0)[0].bincount(minlength=30) / draws
    assert (drawn - expected[0]).abs().max() < 0.015
