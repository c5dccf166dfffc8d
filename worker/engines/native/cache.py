"""What a decoder remembers of a batch: keys and values of the documents and of the beams.

Nothing is ever reordered or repeated. A document's own keys and values are computed once. What
the beams said lies where it was written, step after step and beam beside beam; which of it
belongs to a beam is a small table of ancestors, and becomes a mask: a beam attends to all that
its document's beams said, and the mask leaves what it has from its ancestors.

There is room for a few steps more than were taken, and the mask hides it: products read what
lies in one piece, and bfloat16 would be copied into one at every step.
"""

import torch
from torch import Tensor

_ROOM = 8
"""Steps by which the room for what the beams say grows."""
_NOBODY = -1


class Cache:
    """Keys and values of all layers.

    `cross`: `[layers, 2, documents, heads, source, size]`, from the encoder; `padding`:
    `[documents, source]`, 0 or minus infinity, None where no document is padded; `most`: steps;
    `relative`: `[heads, most]`, the bias of a key by how far back it lies, or None.
    """

    def __init__(
        self,
        cross: Tensor,
        padding: Tensor | None,
        beams: int,
        most: int,
        relative: Tensor | None,
    ) -> None:
        layers, two, documents, heads, _, size = cross.shape
        self.documents, self.size, self.step = documents, size, 0
        self._beams, self._most, self._relative = beams, most, relative
        self._cross, self._padding = cross, padding
        empty = cross.new_empty((two, documents, heads, 0, size))
        self._own = [empty] * layers
        self._every = torch.arange(beams, device=cross.device)
        self._ancestors = self._every.new_full((documents, beams, most), _NOBODY)
        self._nothing = cross.new_zeros(())

    def cross(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys and values, `[documents * heads, source, size]`."""
        keys, values = self._cross[layer, :, : self.documents].flatten(1, 2)
        return keys, values

    @property
    def padding(self) -> Tensor | None:
        """`[documents, 1, 1, source]`, to be added to the scores of cross-attention."""
        return None if self._padding is None else self._padding[: self.documents, None, None]

    def begin(self) -> Tensor:
        """Begins a step. Returns what is to be added to the scores of self-attention,
        `[documents, heads or 1, beams, room * beams]`."""
        if self.step == self._room:
            self._grow()
        self._ancestors[: self.documents, :, self.step] = self._every
        ancestors = self._ancestors[: self.documents, :, : self._room, None]
        lineage = torch.where(ancestors == self._every, self._nothing, float("-inf"))
        lineage = lineage.flatten(2)[:, None]
        return lineage if self._relative is None else lineage + self._bias(self._relative)

    def own(self, layer: int, said: Tensor) -> tuple[Tensor, Tensor]:
        """Remembers this step's keys and values, `[2, documents, heads, beams, size]`. Returns
        those of all steps and beams, `[documents * heads, room * beams, size]` twice."""
        own = self._own[layer][:, : self.documents]
        own[:, :, :, self.step * self._beams : (self.step + 1) * self._beams] = said
        keys, values = own.flatten(1, 2)
        return keys, values

    def follow(self, parents: Tensor) -> None:
        """Ends the step: beam j of document i goes on from beam `parents[i, j]`."""
        if self._beams > 1:
            said = self._ancestors[: self.documents, :, : self.step]
            said.copy_(said.gather(1, parents[:, :, None].expand(-1, -1, self.step)))

    def keep(self, documents: Tensor) -> None:
        """Only these stay. Who stays where he is, is not moved."""
        targets = torch.arange(len(documents), device=documents.device)
        moved = documents != targets
        sources, targets = documents[moved], targets[moved]
        self._cross[:, :, targets] = self._cross[:, :, sources]
        for own in self._own:
            own[:, targets] = own[:, sources]
        self._ancestors[targets] = self._ancestors[sources]
        if self._padding is not None:
            self._padding[targets] = self._padding[sources]
        self.documents = len(documents)

    @property
    def _room(self) -> int:
        """Steps that there is room for."""
        return self._own[0].shape[3] // self._beams

    def _grow(self) -> None:
        # Zeros, because what is masked is multiplied all the same, by zero.
        more = min(_ROOM, self._most - self._room) * self._beams
        for layer, whole in enumerate(self._own):  # no more than one is there twice at a time
            own = whole[:, : self.documents]
            room = own.new_zeros((*own.shape[:3], more, self.size))
            self._own[layer] = torch.cat((own, room), dim=3)

    def _bias(self, relative: Tensor) -> Tensor:
        """`[1, heads, 1, room * beams]`."""
        back = (self.step - torch.arange(self._room, device=relative.device)).clamp(min=0)
        return relative[:, back].repeat_interleave(self._beams, dim=1)[None, :, None]
