"""Models to measure: random weights at the shapes of published models, made once and kept.

A shape's tokenizer knows as many words as the model has tokens ("w17" is token 17), so that
every side finds a vocabulary beside the weights. Half of the cases need summaries that end by
themselves: a model's end token is drawn louder than the others, which makes it win now and
then, at other steps for other documents.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)


@dataclass(frozen=True)
class Shape:
    name: str
    marks: tuple[str, ...]
    """The first tokens: padding and end token at the ids that the published model has."""
    build: Callable[[], PreTrainedModel]


def bart_62m() -> PreTrainedModel:
    """62 million parameters: 6 and 6 layers, width 512."""
    return _bart(50265, width=512, encoder_layers=6, heads=8)


def distilbart_12_6() -> PreTrainedModel:
    """306 million parameters: sshleifer/distilbart-cnn-12-6's 12 and 6 layers, width 1,024."""
    return _bart(50264, width=1024, encoder_layers=12, heads=16)


def _bart(vocabulary: int, width: int, encoder_layers: int, heads: int) -> PreTrainedModel:
    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=vocabulary,
            d_model=width,
            encoder_layers=encoder_layers,
            decoder_layers=6,
            encoder_attention_heads=heads,
            decoder_attention_heads=heads,
            encoder_ffn_dim=4 * width,
            decoder_ffn_dim=4 * width,
            forced_eos_token_id=None,
        )
    )


def t5_small() -> PreTrainedModel:
    """60 million parameters: 6 and 6 layers, width 512, logits tied to the embeddings.

    As it is drawn at first, it says the same of every document; a louder and more choosy
    cross-attention does not.
    """
    config = T5Config(vocab_size=32128)
    config.decoder_start_token_id = 0
    config.tie_word_embeddings = config.scale_decoder_outputs = True
    model = T5ForConditionalGeneration(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("EncDecAttention.o.weight"):
                weight.mul_(8)
            if name.endswith("EncDecAttention.q.weight"):
                weight.mul_(4)
    return model


_BART = ("<s>", "<pad>", "</s>", "<unk>")
SHAPES = {
    shape.name: shape
    for shape in (
        Shape("bart-62m", _BART, bart_62m),
        Shape("t5-small", ("<pad>", "</s>", "<unk>"), t5_small),
        Shape("distilbart-12-6", _BART, distilbart_12_6),
    )
}


def folder_of(shape: Shape, loud: float, models_folder: Path) -> Path:
    """The model of this shape whose end token is so `loud`, 1 being as all others; made once."""
    folder = models_folder / f"{shape.name}-{loud:g}"
    if not (folder / "tokenizer.json").exists():
        _make(shape, loud, folder)
    return folder


def _make(shape: Shape, loud: float, folder: Path) -> None:
    torch.manual_seed(1)
    model = shape.build()
    tokenizer = _tokenizer(shape.marks, model.config.vocab_size)
    with torch.no_grad():
        model.get_output_embeddings().weight[tokenizer.eos_token_id] *= loud
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer(marks: tuple[str, ...], size: int) -> PreTrainedTokenizerFast:
    words = [*marks, *(f"w{number}" for number in range(len(marks), size))]
    known = {word: number for number, word in enumerate(words)}
    made = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        model_max_length=1024,
        bos_token="<s>" if "<s>" in marks else None,
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
    )
