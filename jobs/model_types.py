"""The model types that the native engine knows, by what transformers calls them.

Here because who finds models says which engine a model will have. What else decides, and
is in a model's configuration, is in `worker.engines.native`.
"""

BART_LIKE = frozenset({"bart", "mbart", "pegasus", "marian"})
T5_LIKE = frozenset({"t5", "mt5"})
DECODER_ONLY = frozenset(
    ["gemma", "granite", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "smollm3"]
)
"""Families whose parity with `generate` is tested."""
