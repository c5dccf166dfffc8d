"""The encoder's attention in bfloat16, against torch's own in float32."""

import pytest
import torch
from torch.nn import functional

from worker.engines.native import encoder


@pytest.mark.parametrize("heads", [2, 12])
def test_documents_attend_to_all_of_their_own_tokens(heads: int) -> None:
    torch.manual_seed(0)
    lengths = [300, 1, 37]
    query, key, value = torch.randn(3, 3, heads, 300, 8)
    mask = (torch.arange(300) < torch.tensor(lengths)[:, None]).long()
    widened = encoder.widened(mask)
    assert widened is not None
    found, _ = encoder.attend(torch.nn.Identity(), query, key, value, widened, 0.4)
    added = torch.zeros(widened.shape).masked_fill(widened == 0, float("-inf"))
    expected = functional.scaled_dot_product_attention(
        query, key, value, added, scale=0.4
    ).transpose(1, 2)
    assert found.dtype == torch.float32
    for document, length in enumerate(lengths):
        assert torch.allclose(
            found[document, :length], expected[document, :length], rtol=0, atol=0.05
        )
        assert not found[document, length:].any()
