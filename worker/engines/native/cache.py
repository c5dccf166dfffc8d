"""What a decoder remembers of a batch: keys and values of the documents and of the beams.

Nothing is ever reordered or repeated. A document's own keys and values are computed once. What
the beams said lies where it was written, step after step and beam beside beam; which of it
belongs to a beam is a small table of ancestors, and becomes a mask: a beam attends to all that
its document's beams said, and the mask leaves what it has from its ancestors.
"""

import torch
from torch import Tensor


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
        self._beams, self._relative = beams, relative
        self._cross, self._padding = cross, padding
        self._own = cross.new_empty((layers, two, documents, heads, most * beams, size))
        self._every = torch.arange(beams, device=cross.device)
        self._ancestors = self._every[:, None].repeat(documents, 1, most)

    def cross(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys and values, `[documents, heads, source, size]`."""
        return self._cross[layer, 0, : self.documents], self._cross[layer, 1, : self.documents]

    @property
    def padding(self) -> Tensor | None:
        """`[documents, 1, 1, source]`, to be added to the scores of cross-attention."""
        return None if self._padding is None else self._padding[: self.documents, None, None]

    def own(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Remembers this step's, `[documents, heads, beams, size]`. Returns those of all steps
        and beams, `[documents, heads, steps * beams, size]`."""
        here = slice(self.step * self._beams, (self.step + 1) * self._beams)
        own = self._own[layer, :, : self.documents, :, : here.stop]
        own[0, :, :, here] = keys
        own[1, :, :, here] = values
        return own[0], own[1]

    def mask(self) -> Tensor | None:
        """`[documents, heads or 1, beams, steps * beams]`, to be added to the scores of
        self-attention; None where there is nothing to leave out or to add."""
        steps = self.step + 1
        mask = self._relative_bias(steps)
        if self._beams == 1:
            return mask
        ancestors = self._ancestors[: self.documents, :, :steps, None]
        nothing = torch.zeros((), dtype=self._own.dtype, device=self._own.device)
        lineage = torch.where(ancestors == self._every, nothing, float("-inf"))
        lineage = lineage.flatten(2)[:, None]
        return lineage if mask is None else lineage + mask

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
        steps = self.step * self._beams
        self._own[:, :, targets, :, :steps] = self._own[:, :, sources, :, :steps]
        self._ancestors[targets] = self._ancestors[sources]
        if self._padding is not None:
            self._padding[targets] = self._padding[sources]
        self.documents = len(documents)

    def _relative_bias(self, steps: int) -> Tensor | None:
        """`[1, heads, 1, steps * beams]`."""
        if self._relative is None:
            return None
        biases = self._relative[:, :steps].flip(1).repeat_interleave(self._beams, dim=1)
        return biases[None, :, None]
