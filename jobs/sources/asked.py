"""What a user says of a source. What is not said is told from its name, or guessed."""

from dataclasses import dataclass, field

from jobs.columns import Asked as AskedColumns


@dataclass(frozen=True, slots=True)
class Asked:
    """None is for what was not said."""

    columns: AskedColumns = field(default_factory=AskedColumns)
    format: str | None = None
    """A kind of file, where its name does not tell it: `jsonl`, `parquet`, ..."""
    config: str | None = None
    split: str | None = None
    revision: str | None = None
