"""The engine under test: a document's first sentence, a diary of it, and breakage on request.

A document breaks what generates it by a word in its text; a worker by its orders.
"""

import ctypes
import json
import os
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import sleep, time
from typing import Any, Literal, get_args

from pydantic import BaseModel

from jobs.parameters import Effective
from worker.engines import DeviceLost, Encoded, Generated, OutOfMemory
from worker.engines.lead import LeadEngine

Breakage = Literal["segfault", "memory", "hang", "device", "refuse"]
BREAKAGES: tuple[Breakage, ...] = get_args(Breakage)

VARIABLE = "FAULTS_ORDERS"


class Orders(BaseModel):
    """What a worker under test does beside its work."""

    diary: Path
    batch: int = 8
    """Documents that it takes at once."""
    seconds: float = 0.02
    """How long each document takes."""
    load_seconds: float = 0
    memory: int | None = None
    """Documents that the device has room for at once."""
    dies_after_commit: int = 0
    """So many times the whole worker is killed after its last commit, before it acknowledges."""
    speaks: int = 1
    """The version of the messages that it understands."""


def text(key: str, breakage: Breakage | None = None) -> str:
    """A document that is known by its first word."""
    return f"{first_sentence(key, breakage)} Nobody reads its second sentence."


def first_sentence(key: str, breakage: Breakage | None = None) -> str:
    return f"{key} begins [{breakage}]." if breakage else f"{key} begins."


class Diary:
    """An append-only file: the documents of each batch, before it is generated and after."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, event: Literal["begin", "end"], documents: Sequence[str]) -> None:
        line = {"at": time(), "pid": os.getpid(), "event": event, "documents": list(documents)}
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            # In one piece, whoever else writes.
            os.write(file, json.dumps(line).encode() + b"\n")
        finally:
            os.close(file)

    def counted(self, event: Literal["begin", "end"]) -> Counter[str]:
        """How often each document was begun, or ended."""
        return Counter(
            key for line in self._lines() if line["event"] == event for key in line["documents"]
        )

    def writers(self) -> set[int]:
        """The processes that wrote into it."""
        return {line["pid"] for line in self._lines()}

    def _lines(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        return [json.loads(line) for line in self._path.read_text().splitlines()]


class Diarist:
    """`LeadEngine(1)` with a diary, taking as long as its orders say."""

    name = "lead"
    max_num_batched_tokens: int | None = None

    def __init__(self, orders: Orders) -> None:
        self.max_num_seqs = orders.batch
        self._orders = orders
        self._diary = Diary(orders.diary)
        self._lead = LeadEngine(1)
        self._device_lost = False

    def seqs_per_document(self, effective: Effective) -> int:
        return 1

    def encode(self, texts: Sequence[str], effective: Effective) -> list[Encoded]:
        return self._lead.encode(texts, effective)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        return self._lead.token_spans(text)

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        texts = ["".join(map(chr, ids)) for ids in batch]
        keys = [text.split()[0] for text in texts]
        self._diary.write("begin", keys)
        if self._orders.memory is not None and len(batch) > self._orders.memory:
            raise OutOfMemory(f"no room for {len(batch)} documents")
        for given in texts:
            self._break(given)
            sleep(self._orders.seconds)
        generated = self._lead.generate(batch, effective, seeds)
        self._diary.write("end", keys)
        return generated

    def decode(self, generated: Sequence[Generated]) -> list[str]:
        return self._lead.decode(generated)

    def _break(self, given: str) -> None:
        breakage = next((each for each in BREAKAGES if f"[{each}]" in given), None)
        self._device_lost |= breakage == "device"
        if self._device_lost:
            raise DeviceLost("device-side assert triggered")
        if breakage == "segfault":
            ctypes.string_at(0)
        elif breakage == "memory":
            bytearray(1 << 62)
        elif breakage == "hang":
            threading.Event().wait()
        elif breakage == "refuse":
            raise ValueError("index out of range in self")
