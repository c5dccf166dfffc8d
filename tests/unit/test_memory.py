"""What a model takes, against figures worked out by hand from published configurations."""

from transformers import BartConfig, LlamaConfig, PreTrainedConfig, T5Config

from worker import memory


def test_bart_large() -> None:
    """12 layers of 1,024 in the decoder, 50,265 tokens, the last layer shared."""
    found = memory.estimate(BartConfig(), 406_290_432, 142)
    embeddings = 50_265 * 1_024
    assert found.weights["float32"] == 2 * found.weights["bfloat16"] == 1_625_161_728
    assert found.weights["int8"] == 406_290_432 + 4 * embeddings
    assert found.batch == 2 * 12 * 1_024 * (4_096 + 64 * 142) * 4
    assert found.worker > found.weights["float32"]


def test_t5_small() -> None:
    """Heads of 64 that are not a share of its width: 6 layers of 8."""
    found = memory.estimate(T5Config(), 60_506_624, 200)
    assert found.batch == 2 * 6 * 8 * 64 * (4_096 + 64 * 200) * 4


def test_grouped_heads_and_a_last_layer_of_its_own() -> None:
    config = LlamaConfig(
        hidden_size=2_048,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=128_256,
        tie_word_embeddings=False,
    )
    found = memory.estimate(config, 1_500_000_000, 128)
    assert found.batch == 2 * 16 * 8 * 64 * (4_096 + 64 * 128) * 4
    assert found.weights["int8"] == 1_500_000_000 + 3 * 128_256 * 2_048


def test_a_configuration_that_says_nothing() -> None:
    found = memory.estimate(PreTrainedConfig(), 10, 128)
    assert (found.batch, found.weights["bfloat16"]) == (None, 20)
