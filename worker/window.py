"""A window: the shards that are worked through together, what is left of them, and the batches
that were planned.

Small shards fill a window, and then batches, together; all of them have one model, the same
parameters and one priority. A shard that a worker died with has a window of its own, so that what
it does, it does to nobody else. Parts of long documents are items like any other: what they come
to is done with the next ones that are planned. Knows no SQL and no threads.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from jobs.documents import Document
from jobs.job import Batching, ModelKey, Part, Portion, Row, Shard
from jobs.parameters import Effective
from worker import batching, reduction, rows, same_text
from worker.engines import Engine
from worker.items import Item, Outcome, Refusal
from worker.reduction import Reduction
from worker.same_text import Key, SameText

# In a window, where there are so many: enough for full batches of like length. No more batches,
# because who takes over what another worker had in hand does its own window first.
_DOCUMENTS = 256
_BATCHES = 16

# A batch that takes longer than the deadline, or more memory than there is, finds its size:
# each death with several documents in hand halves a shard's batches so often.
_HALVINGS = 2

# Where documents are done in parts, so many items are planned together: the first documents of a
# shard are done with then, though the last may have many parts.
_ITEMS = _DOCUMENTS


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds that a batch took."""

    waiting: float
    """In which the engine had nothing to do, before it."""
    generating: float


@dataclass
class Window:
    """`items` get fewer as they are planned, and `batches` as they are done."""

    key: ModelKey
    effective: Effective
    alone: bool
    """Whether nothing may be done beside it."""
    shards: list[Shard]
    set_aside: list[Portion]
    """Rows that need no model, and shards of which nothing is left to do."""
    items: list[Item]
    """What is not planned yet."""
    bounds: batching.Bounds
    suspects: Collection[int] = ()
    """Documents that come last, and of which no two items are in one batch. Only a shard that is
    done by itself has any."""
    reductions: dict[Key, Reduction] = field(default_factory=dict)
    """Of the documents that are done in parts, by shard and index."""
    same: SameText = field(default_factory=SameText)
    """Which documents wait for the row of another one."""
    batches: list[list[Item]] = field(default_factory=list)
    _left: Counter[int] = field(default_factory=Counter)
    """Documents that are not over, by shard."""
    _failed: set[tuple[int, int]] = field(default_factory=set)
    """Of those done in parts."""
    _touched: set[int] | None = None
    _whole: dict[Key, Item] = field(default_factory=dict)
    """Of the documents that are one item each."""

    def __post_init__(self) -> None:
        self._whole = {item.key: item for item in self.items if item.key not in self.reductions}
        self._left.update(shard_id for shard_id, _ in {item.key for item in self.items})
        self._left.update(shard_id for shard_id, _ in self.same.waiting())

    @property
    def over(self) -> bool:
        return not self.items and not self.batches

    def next_batch(self) -> list[Item]:
        """Of a window that is not over."""
        if not self.batches:
            self._plan()
        return self.batches.pop(0)

    def _plan(self) -> None:
        """The longest first, but for the batch with the first item, which goes before them: where a
        slice has time for one batch only, and longer ones keep coming, it would never be its
        turn."""
        others = [item for item in self.items if item.document.index not in self.suspects]
        if not others:
            self.batches, self.items = [[item] for item in self.items], []
            return
        chosen = others[:_ITEMS] if self.reductions else others
        planned = {id(item) for item in chosen}
        self.items = [item for item in self.items if id(item) not in planned]
        plan = batching.plan(
            [len(item.encoded.ids) for item in chosen],
            max_num_batched_tokens=self.bounds.max_num_batched_tokens,
            max_num_seqs=self.bounds.max_num_seqs,
        )
        plan.sort(key=lambda batch: 0 not in batch)
        self.batches = [[chosen[position] for position in batch] for batch in plan]

    def to_announce(self, batch: Sequence[Item]) -> tuple[list[Shard], dict[int, list[int]]]:
        """The shards that must know of a batch, and its documents by shard. Those know that it
        is of, and that the one before was; of the first batch all, which are held meanwhile."""
        documents: dict[int, list[int]] = {}
        for shard_id, index in dict.fromkeys(item.key for item in batch):
            documents.setdefault(shard_id, []).append(index)
        before = {shard.id for shard in self.shards} if self._touched is None else self._touched
        self._touched = set(documents)
        return [shard for shard in self.shards if shard.id in before | set(documents)], documents

    def give_up(self, shard_ids: Collection[int]) -> None:
        """Nothing more is done of these."""
        self.shards = [shard for shard in self.shards if shard.id not in shard_ids]
        self._drop({item.key for item in self._undone() if item.shard_id in shard_ids})
        for original, shard_id, document in self.same.give_up(shard_ids):
            self.items += self._again(original, shard_id, document)

    def _again(self, original: Key, shard_id: int, document: Document) -> list[Item]:
        """What has to be done of a document instead of another one with its text."""
        if original in self._whole:
            item = replace(self._whole[original], shard_id=shard_id, document=document)
            self._whole[item.key] = item
            return [item]
        heir = self.reductions[original].again(shard_id, document)
        self.reductions[heir.key] = heir
        first = heir.begin()
        return [] if isinstance(first, Row) else first  # it is none: no part of it is kept

    def reuse(self, made: Mapping[str, Row]) -> None:
        """Set aside what has been done since the window was read: by digest, the rows of the one
        before, the last of which were not stored then."""
        known = {
            item.key: same_text.copy(made[digest], item.document)
            for item in self._undone()
            if (digest := self.same.digests.get(item.key)) and digest in made
        }
        self._drop(known)
        over: dict[int, list[Row]] = {}
        for key, found in known.items():
            for shard_id, row in self.same.rows(key, found):
                over.setdefault(shard_id, []).append(row)
        self.set_aside += [
            Portion(shard, over[shard.id], self._ends(shard, over[shard.id]))
            for shard in self.shards
            if shard.id in over
        ]

    def _ends(self, shard: Shard, over: Sequence[Row]) -> bool:
        """Whether these rows of a shard are its last."""
        self._left[shard.id] -= len(over)
        return not self._left[shard.id]

    def _undone(self) -> list[Item]:
        return [*chain(*self.batches), *self.items]

    def _drop(self, documents: Collection[tuple[int, int]]) -> None:
        kept = ([item for item in batch if item.key not in documents] for batch in self.batches)
        self.batches = [batch for batch in kept if batch]
        self.items = [item for item in self.items if item.key not in documents]

    def portions(self, made: Sequence[tuple[Item, Outcome]], spent: Spent) -> list[Portion]:
        """What a batch came to, by shard: its rows, its parts, and its share of what they took.

        What can be done now that they are is planned next.
        """
        over, parts = self._settle(made)
        longest = max(len(item.encoded.ids) for item, _ in made)
        bounded = self.bounds.max_num_batched_tokens is not None
        fill = self.bounds.fill(len(made), longest)
        by_shard: dict[int, list[Item]] = {}
        for item, _ in made:
            by_shard.setdefault(item.shard_id, []).append(item)
        found = []
        for shard in self.shards:
            mine, mine_over = by_shard.get(shard.id, []), over.get(shard.id, [])
            if not mine and not mine_over:
                continue
            share = len(mine) / len(made)
            batched = longest * len(mine) if bounded else 0
            tokens = sum(len(item.encoded.ids) for item in mine) if bounded else 0
            batching = Batching(
                generating_seconds=share * spent.generating,
                waiting_seconds=share * spent.waiting,
                batches=share,
                batch_fill=share * fill,
                batched_tokens=batched,
                padding_tokens=batched - tokens,
            )
            done = self._ends(shard, mine_over)
            found.append(Portion(shard, mine_over, done, batching, parts.get(shard.id, [])))
        return found

    def _settle(
        self, made: Sequence[tuple[Item, Outcome]]
    ) -> tuple[dict[int, list[Row]], dict[int, list[Part]]]:
        """Rows and parts of a batch, by shard."""
        over: dict[int, list[Row]] = {}
        parts: dict[int, list[Part]] = {}
        following: list[Item] = []
        for item, outcome in made:
            if item.key in self._failed:
                continue
            if item.part is not None and not isinstance(outcome, Refusal):
                made_part = reduction.part(item, item.part, outcome)
                parts.setdefault(item.shard_id, []).append(made_part)
            found = self._follows(item, outcome)
            if isinstance(found, Row):
                for shard_id, row in self.same.rows(item.key, found):
                    over.setdefault(shard_id, []).append(row)
            else:
                following += found
        self.items[:0] = following
        return over, parts

    def _follows(self, item: Item, outcome: Outcome) -> list[Item] | Row:
        """The document's row, or what has to be done next of it."""
        document = self.reductions.get(item.key)
        if document is None:
            return rows.of(item, outcome)
        if isinstance(outcome, Refusal):
            self._failed.add(item.key)
            self._drop({item.key})
            return rows.refused(item, outcome)
        return document.take(item, outcome)


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
