"""A window: the shards that are worked through together, and the batches that were planned.

Small shards fill a window, and then batches, together; all of them have one model, the same
parameters and one priority. A shard that a worker died with has a window of its own, so that what
it does, it does to nobody else. Knows no SQL and no threads.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from jobs.job import Batching, ModelKey, Portion, Row, Shard
from jobs.parameters import Effective
from worker import batching
from worker.engines import Engine
from worker.halving import Item

# In a window, where there are so many: enough for full batches of like length. No more batches,
# because who takes over what another worker had in hand does its own window first.
_DOCUMENTS = 256
_BATCHES = 16

# A batch that takes longer than the deadline, or more memory than there is, finds its size:
# each death with several documents in hand halves a shard's batches so often.
_HALVINGS = 2


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds that a batch took."""

    waiting: float
    """In which the engine had nothing to do, before it."""
    generating: float


@dataclass
class Window:
    """`batches` get fewer as they are done."""

    key: ModelKey
    effective: Effective
    alone: bool
    """Whether nothing may be done beside it."""
    shards: list[Shard]
    set_aside: list[Portion]
    """Rows that need no model, and shards of which nothing is left to do."""
    batches: list[list[Item]]
    bounds: batching.Bounds
    _left: Counter[int] = field(default_factory=Counter)
    _touched: set[int] | None = None

    def __post_init__(self) -> None:
        self._left.update(item.shard_id for batch in self.batches for item in batch)

    def to_announce(self, batch: Sequence[Item]) -> tuple[list[Shard], dict[int, list[int]]]:
        """The shards that must know of a batch, and its documents by shard. Those know that it
        is of, and that the one before was; of the first batch all, which are held meanwhile."""
        documents: dict[int, list[int]] = {}
        for item in batch:
            documents.setdefault(item.shard_id, []).append(item.document.index)
        before = {shard.id for shard in self.shards} if self._touched is None else self._touched
        self._touched = set(documents)
        return [shard for shard in self.shards if shard.id in before | set(documents)], documents

    def give_up(self, shard_ids: Collection[int]) -> None:
        """Nothing more is done of these."""
        self.shards = [shard for shard in self.shards if shard.id not in shard_ids]
        kept = (
            [item for item in batch if item.shard_id not in shard_ids] for batch in self.batches
        )
        self.batches = [batch for batch in kept if batch]

    def portions(self, made: Sequence[tuple[Item, Row]], spent: Spent) -> list[Portion]:
        """What a batch came to, by shard: its rows, and its share of what they took."""
        longest = max(len(item.encoded.ids) for item, _ in made)
        bounded = self.bounds.max_num_batched_tokens is not None
        fill = self.bounds.fill(len(made), longest)
        by_shard: dict[int, list[tuple[Item, Row]]] = {}
        for item, row in made:
            by_shard.setdefault(item.shard_id, []).append((item, row))
        found = []
        for shard in self.shards:
            mine = by_shard.get(shard.id)
            if not mine:
                continue
            share = len(mine) / len(made)
            batched = longest * len(mine) if bounded else 0
            tokens = sum(len(item.encoded.ids) for item, _ in mine) if bounded else 0
            batching = Batching(
                generating_seconds=share * spent.generating,
                waiting_seconds=share * spent.waiting,
                batches=share,
                batch_fill=share * fill,
                batched_tokens=batched,
                padding_tokens=batched - tokens,
            )
            self._left[shard.id] -= len(mine)
            rows = [row for _, row in mine]
            found.append(Portion(shard, rows, done=not self._left[shard.id], batching=batching))
        return found


def documents(engine: Engine, effective: Effective) -> int:
    """How many make a window."""
    return min(_DOCUMENTS, _BATCHES * bounds(engine, effective, 0).max_num_seqs)


def bounds(engine: Engine, effective: Effective, deaths: int) -> batching.Bounds:
    """What bounds a batch, for shards with so many deaths."""
    seqs = engine.max_num_seqs // engine.seqs_per_document(effective)
    tokens = engine.max_num_batched_tokens
    shift = _HALVINGS * deaths
    return batching.Bounds(
        max_num_seqs=max(1, seqs >> shift),
        max_num_batched_tokens=None if tokens is None else max(1, tokens >> shift),
    )
