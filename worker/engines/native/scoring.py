"""The best tokens of each row of logits, without a sorted or normalized copy of the vocabulary.

Log probabilities differ from logits by one number for each row: the best of the one are the best
of the other, and only what is kept needs to be normalized.
"""

import torch
from torch import Tensor

_GROUP = 128
"""Neighbours in the vocabulary that are searched together."""


def normalizer(logits: Tensor) -> Tensor:
    """`[rows, 1]`, float32: the logarithm of the sum of the exponentials of a row."""
    # By way of the highest probability: torch's softmax is one fused pass, its logsumexp four.
    highest = logits.amax(dim=-1, keepdim=True).float()
    shares = logits.softmax(dim=-1, dtype=torch.float32)
    return highest - shares.amax(dim=-1, keepdim=True).log()


def best(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Values and ids of the `count` highest of each row, falling: `[rows, count]` twice.

    The highest of a row lie in the groups with the highest maxima: a maximum is one quick pass,
    where finding the highest of a whole row takes as long as a layer of the model.
    """
    rows, vocabulary = logits.shape
    groups = vocabulary // _GROUP
    if groups <= 4 * count:
        values, ids = logits.topk(min(count, vocabulary))
        return values, ids
    whole = logits[:, : groups * _GROUP].view(rows, groups, _GROUP)
    chosen = whole.amax(dim=-1).topk(count)[1]
    inside = torch.arange(_GROUP, device=logits.device)
    ids = (chosen[:, :, None] * _GROUP + inside).flatten(1)
    rest = torch.arange(groups * _GROUP, vocabulary, device=logits.device).expand(rows, -1)
    ids = torch.cat((ids, rest), dim=1)
    values, places = logits.gather(1, ids).topk(count)
    return values, ids.gather(1, places)
