"""Tiny models with random weights, saved as a user would find them in a folder.

They are real architectures with real tokenizers (byte-level BPE, trained on the
spot), so that what loads them is what loads a published model. The weights are
drawn wide: documents get different summaries, some of which end by themselves.
The same folder contents on every run.
"""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    MarianConfig,
    MarianMTModel,
    MBartConfig,
    MBartForConditionalGeneration,
    MT5Config,
    MT5ForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>\n"
    "{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)

_CORPUS = (
    "The mill grinds slowly, but it grinds every document that is brought to it.",
    "A worker leases a shard, reads its documents, and stores one summary for each.",
    "Nothing is lost and nothing is done twice, whatever dies in the night.",
    "Summarize this text in one sentence. The river rose; the bridge was closed.",
    "Researchers found that the new method is faster and needs less memory.",
)


def documents(count: int, longest: int = 120) -> list[str]:
    """`count` different texts of 1 to `longest` words, in no order of length."""
    words = " ".join(_CORPUS).split()
    lengths = [1 + (number * 37) % longest for number in range(count)]
    return [
        " ".join(words[(number * 7 + place * (1 + number % 5)) % len(words)] for place in range(n))
        for number, n in enumerate(lengths)
    ]


_BART: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 128,
    "init_std": 0.6,
}


def tiny_bart(folder: Path) -> Path:
    """Encoder-decoder with learned positions, 128 at most; `<s> text </s>`."""
    tokenizer = _tokenizer(["<s>", "<pad>", "</s>", "<unk>"], "<s> $A </s>", limit=128)
    config = BartConfig(
        vocab_size=len(tokenizer),
        **_BART,
    )
    torch.manual_seed(1)
    model = BartForConditionalGeneration(config)
    # As a published summarizer has them: never empty, never long.
    model.generation_config.update(min_length=5, max_length=32)
    return _save(model, tokenizer, folder, loud=2.4)


def tiny_bart_like(folder: Path, family: str) -> Path:
    """BART's kin: "mbart" (normalizes first, learned positions), "pegasus" (normalizes first,
    computed positions) or "marian" (normalizes last, computed positions, never says its
    padding, which it starts from)."""
    config_class, model_class = {
        "mbart": (MBartConfig, MBartForConditionalGeneration),
        "pegasus": (PegasusConfig, PegasusForConditionalGeneration),
        "marian": (MarianConfig, MarianMTModel),
    }[family]
    tokenizer = _tokenizer(["<s>", "<pad>", "</s>", "<unk>"], "$A </s>", limit=128)
    config = config_class(
        vocab_size=len(tokenizer),
        **_BART,
        scale_embedding=True,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        forced_eos_token_id=2,
        decoder_start_token_id=2 if family == "mbart" else 1,
    )
    torch.manual_seed(4)
    model = model_class(config)
    model.final_logits_bias.normal_()
    if family == "marian":
        model.generation_config.bad_words_ids = [[1]]
    return _save(model, tokenizer, folder, loud=2.4)


def tiny_mt5(folder: Path) -> Path:
    """As `tiny_t5`, with a gate in its feed-forward layers and no scale on its logits."""
    tokenizer = _tokenizer(["<pad>", "</s>", "<unk>"], "$A </s>", limit=96)
    config = MT5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        initializer_factor=3.0,
        decoder_start_token_id=0,
    )
    torch.manual_seed(5)
    return _save(MT5ForConditionalGeneration(config), tokenizer, folder, loud=1.5)


def tiny_t5(folder: Path, tied: bool) -> Path:
    """Encoder-decoder with relative positions, tied (T5) or with a head of its own (FLAN-T5)."""
    tokenizer = _tokenizer(["<pad>", "</s>", "<unk>"], "$A </s>", limit=96)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="relu" if tied else "gated-gelu",
        initializer_factor=3.0,
    )
    config.decoder_start_token_id = 0
    config.tie_word_embeddings = config.scale_decoder_outputs = tied
    torch.manual_seed(2)
    return _save(T5ForConditionalGeneration(config), tokenizer, folder, loud=2.5 if tied else 1.5)


def tiny_llama(folder: Path, chat_template: bool = True) -> Path:
    """Decoder-only, 512 positions, no pad token; the tokenizer adds `<s>` by itself."""
    marks = ["<s>", "</s>", "<unk>", "<|user|>", "<|assistant|>"]
    tokenizer = _tokenizer(marks, "<s> $A", limit=512)
    if chat_template:
        tokenizer.chat_template = CHAT_TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.6,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(3)
    return _save(LlamaForCausalLM(config), tokenizer, folder, loud=2)


def _save(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path, loud: float
) -> Path:
    # An end token louder than the others is chosen now and then.
    with torch.no_grad():
        model.get_output_embeddings().weight[tokenizer.eos_token_id] *= loud
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(marks: list[str], template: str, limit: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE of at most 400 tokens, the first of which are `marks`, in their order."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\n"), "isolated"), pre_tokenizers.ByteLevel(False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=marks,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_CORPUS, trainer)
    named = [(mark, bpe.token_to_id(mark)) for mark in marks if mark in template]
    bpe.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=template, special_tokens=named),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        model_max_length=limit,
        bos_token="<s>" if "<s>" in marks else None,
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>" if "<pad>" in marks else None,
        extra_special_tokens=[mark for mark in marks if mark.startswith("<|")],
    )
