"""Models and datasets as people publish them, for the stub hub: cards, and of models that nobody
loads no more than the config and the header of their weights."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

BART = {"architectures": ["BartForConditionalGeneration"], "model_type": "bart"}


def card(folder: Path, front_matter: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(f"---\n{front_matter}\n---\n# A card\n")
    return folder


def model(
    folder: Path,
    front_matter: str,
    config: dict[str, Any],
    parameters: int = 0,
    chat_template: str | None = None,
) -> Path:
    """With a safetensors file that says it holds so many parameters; without any, none."""
    card(folder, front_matter)
    (folder / "config.json").write_text(json.dumps(config))
    if chat_template:
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": chat_template}))
    if parameters:
        tensor = {"dtype": "F32", "shape": [parameters], "data_offsets": [0, 4 * parameters]}
        header = json.dumps({"weight": tensor}).encode()
        whole = len(header).to_bytes(8, "little") + header
        (folder / "model.safetensors").write_bytes(whole)
    return folder


def parquet(folder: Path, front_matter: str, **rows: int) -> Path:
    """A dataset of documents and summaries, so many rows in each split."""
    card(folder, front_matter)
    (folder / "data").mkdir()
    for split, count in rows.items():
        table = pa.table(
            {
                "document": [f"Document {n} of {split}." for n in range(count)],
                "summary": ["A summary."] * count,
                "id": [str(n) for n in range(count)],
            }
        )
        pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder
