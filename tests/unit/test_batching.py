from statistics import NormalDist

from hypothesis import given
from hypothesis import strategies as st

from worker.batching import batch_cost, padded_tokens, plan

LENGTHS = st.lists(st.integers(0, 300), max_size=60)
BUDGET = st.none() | st.integers(1, 2000)
SEQS = st.integers(1, 20)


def test_documents_of_like_length_go_together_longest_first() -> None:
    assert plan([10, 100, 11, 99], max_num_batched_tokens=200, max_num_seqs=8) == [[1, 3], [2, 0]]


def test_a_document_longer_than_the_budget_runs_alone() -> None:
    assert plan([5, 500, 5], max_num_batched_tokens=100, max_num_seqs=8) == [[1], [0, 2]]


def test_one_long_document_does_not_pad_short_ones_when_that_saves_no_batch() -> None:
    assert plan([10, 1, 1, 1], max_num_batched_tokens=30, max_num_seqs=3) == [[0], [1, 2, 3]]


def test_no_documents_make_no_batches() -> None:
    assert plan([], max_num_batched_tokens=100, max_num_seqs=8) == []


@given(LENGTHS, BUDGET, SEQS)
def test_each_position_comes_exactly_once(
    lengths: list[int], budget: int | None, seqs: int
) -> None:
    planned = [position for batch in plan(lengths, budget, seqs) for position in batch]
    assert sorted(planned) == list(range(len(lengths)))
    assert [lengths[p] for p in planned] == sorted(lengths, reverse=True)


@given(LENGTHS, BUDGET, SEQS)
def test_batches_keep_their_bounds(lengths: list[int], budget: int | None, seqs: int) -> None:
    for batch in plan(lengths, budget, seqs):
        assert 1 <= len(batch) <= seqs
        assert budget is None or len(batch) == 1 or padded_tokens(batch, lengths) <= budget


@given(LENGTHS, BUDGET, SEQS)
def test_no_plan_costs_more_than_arrival_order(
    lengths: list[int], budget: int | None, seqs: int
) -> None:
    planned = plan(lengths, budget, seqs)
    arrival = _arrival_order(lengths, budget, seqs)
    assert _cost(planned, lengths, budget) <= _cost(arrival, lengths, budget)


def test_natural_lengths_are_padded_by_less_than_a_twentieth() -> None:
    """256 lengths with the mean, spread and least of scitldr-dev, in batches of 4,096 tokens."""
    spread = NormalDist(211, 68)
    lengths = [max(45, round(spread.inv_cdf((n + 0.5) / 256))) for n in range(256)]
    batches = plan(lengths, 4096, 64)
    padded = sum(padded_tokens(batch, lengths) for batch in batches)
    assert (padded - sum(lengths)) / padded < 0.05


@given(LENGTHS, BUDGET, SEQS)
def test_a_plan_is_the_same_every_time(lengths: list[int], budget: int | None, seqs: int) -> None:
    assert plan(lengths, budget, seqs) == plan(list(lengths), budget, seqs)


def _arrival_order(lengths: list[int], budget: int | None, seqs: int) -> list[list[int]]:
    batches: list[list[int]] = []
    for position in range(len(lengths)):
        wider = [*batches[-1], position] if batches else []
        fits = budget is None or (wider and padded_tokens(wider, lengths) <= budget)
        if wider and len(wider) <= seqs and fits:
            batches[-1] = wider
        else:
            batches.append([position])
    return batches


def _cost(batches: list[list[int]], lengths: list[int], budget: int | None) -> tuple[int, int]:
    """Without a budget batches count first; with one they are weighed against the padding."""
    padded = sum(padded_tokens(batch, lengths) for batch in batches)
    if budget is None:
        return len(batches), padded
    return padded + len(batches) * batch_cost(budget), 0
