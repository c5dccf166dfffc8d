"""Which engine does a job, and in which numbers: the fastest one that is exact, unless it is named.

Exact means: in float32 it writes what `generate` of the library writes; in fewer bits both round,
each in its own order. Where the native engine can not do a model or a parameter, the library does
it, and the job says why.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from jobs.errors import JobError
from jobs.parameters import Effective
from worker import model_files
from worker.generation import Kind
from worker.models import Resolved

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


@dataclass(frozen=True, slots=True)
class Choice:
    """How a job is done on this worker's kind of device."""

    engine: str
    dtype: str | None
    """None for lead, which has no numbers."""
    fallback: str | None = None
    """Why it is not the fastest engine, where it is not."""


def choose(
    resolved: Resolved, effective: Effective, engine: str, dtype: str, device: str
) -> Choice:
    """`engine` and `dtype` are what was asked for, "auto" among it.

    Raises JobError("bad_parameters") where what was named can not do it.
    """
    if resolved.folder is None:
        if engine not in ("auto", "lead"):
            _refuse("engine", f"{engine} can not run {resolved.name}; lead can")
        if dtype == "int8":
            _refuse("dtype", f"{resolved.name} has no numbers; leave it out")
        return Choice("lead", None)
    if engine == "lead":
        _refuse("engine", f"lead can not run {resolved.name}; leave it out")
    settled = _settled_dtype(dtype, device)
    config = model_files.read_config(resolved.folder, resolved.name)
    reason = _why_not_native(config, resolved.kind, effective, settled)
    if settled == "int8":
        if engine == "transformers" or reason:
            can_not = f", which can not do {reason}" if reason else ""
            _refuse("dtype", f"int8 needs the native engine{can_not}")
        return Choice("native", settled)
    if engine == "native" and reason:
        _refuse("engine", f"native can not do {reason}; transformers can")
    if engine == "auto":
        fallback = f"native can not do {reason}" if reason else _unproven(device)
        return Choice("transformers" if fallback else "native", settled, fallback)
    return Choice(engine, settled)


def _settled_dtype(dtype: str, device: str) -> str:
    """What "auto" is: bfloat16 on CUDA and float32 elsewhere."""
    on_cuda = device.startswith("cuda")
    if dtype == "int8" and on_cuda:
        _refuse("dtype", "int8 is for CPUs; bfloat16 is the small one on a GPU")
    if dtype == "auto":
        return "bfloat16" if on_cuda else "float32"
    return dtype


def _why_not_native(
    config: "PreTrainedConfig", kind: Kind, effective: Effective, dtype: str
) -> str | None:
    from worker.engines import native

    return native.unsupported(config, kind, effective, dtype)


def _unproven(device: str) -> str | None:
    """No GPU was at hand to see that it is exact there, and faster."""
    return None if device == "cpu" else "native was never measured on a GPU; name it to try it"


def _refuse(name: str, why: str) -> NoReturn:
    raise JobError("bad_parameters", f"{name}: {why}")
