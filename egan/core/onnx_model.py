"""EncryptGAN on ONNX Runtime: the stages' graphs and their weights, from the weights
file alone, without torch.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from egan.core.closed_form import CELL
from egan.core.graphs import (
    KEY_LAYERS,
    Unfit,
    check_graph,
    inputs_of,
    outputs_of,
)
from egan.core.inference import KeyedModel
from egan.core.model import Floats, Side
from egan.core.options import ModelOptions
from egan.core.weights import PREFIX, Described
from egan.errors import NO_MEMORY, EganError

SIDES: tuple[Side, ...] = ("F", "G")
OLDEST = (1, 18)
MOST_THREADS = 16
# Pixels of a tile from which on memory is looked after
LARGE = 500_000
# A number of malloc.h, and the bytes from which on an array is mapped
M_MMAP_THRESHOLD = -3
MAPPED = 4 * 2**20


class OnnxModel(KeyedModel):
    """A model of one weights file. Sessions are made when their stage is first run."""

    options: ModelOptions

    def __init__(self, found: Described) -> None:
        """Raises EganError where ONNX Runtime cannot be loaded or is too old."""
        self.options = cast(ModelOptions, found.options)
        self.describe(found)
        self.path = found.path
        self.shapes = {n: tuple(t["shape"]) for n, t in found.tensors.items()}
        for side in SIDES if self.locked else ():
            # The projection off the carriers, which is computed of them
            self.shapes[f"{side}.beside"] = (48, 48)
        self.runtime = import_runtime()
        self.sessions: dict[str, Any] = {}

    @property
    def together(self) -> int:
        """One by one: nothing is faster, and memory stays flat."""
        return 1

    def run(self, stage: str, *inputs: NDArray) -> list[NDArray]:
        session = self.session(stage)
        names = inputs_of(stage)
        height, width = size_of(inputs[-1], stage)
        large = height * width >= LARGE
        if large:
            keep_heap_small()
        feed = {
            n: np.ascontiguousarray(one) for n, one in zip(names, inputs, strict=True)
        }
        try:
            outputs = session.run(list(outputs_of(stage)), feed)
        except Exception as error:
            raise self.failure(stage, error) from error
        if large:
            give_back_memory()
        for output, shape in zip(
            outputs, self.made(stage, len(inputs[0]), height, width), strict=True
        ):
            if output.shape != shape or output.dtype != np.float32:
                raise self.unfit(stage)
        return outputs

    def made(
        self, stage: str, count: int, height: int, width: int
    ) -> list[tuple[int, ...]]:
        """The shapes of a stage's outputs for pictures of a size."""
        verb = stage.partition(".")[2]
        if not verb:
            return [(count, height >> i, width >> i) for i in range(1, KEY_LAYERS + 1)]
        phases, verniers = self.options.phases, self.options.verniers
        numbers = {"encode": phases - verniers, "measure": 2 * phases}
        if verb in numbers:
            return [(count, numbers[verb], height // CELL, width // CELL)]
        return [(count, height, width, 3)]

    def tensor(self, name: str) -> Floats:
        return self.tensors([name])[0]

    def tensors(self, names: list[str]) -> list[Floats]:
        """Tensors of the weights file, in float32."""
        try:
            with safe_open(str(self.path), "np") as file:
                return [file.get_tensor(n).astype(np.float32) for n in names]
        except (SafetensorError, OSError) as error:
            raise EganError(f"cannot read weights {self.path}: {error}") from error

    def session(self, stage: str) -> Any:
        """The session of a stage. Raises EganError for a graph that is not as it should
        be.
        """
        if stage not in self.sessions:
            self.sessions[stage] = self.make_session(stage)
        return self.sessions[stage]

    def make_session(self, stage: str) -> Any:
        ort = self.runtime
        try:
            with safe_open(str(self.path), "np") as file:
                graph = file.get_tensor(PREFIX + stage).tobytes()
            names = check_graph(graph, stage, self.shapes)
        except (SafetensorError, OSError) as error:
            raise EganError(f"cannot read weights {self.path}: {error}") from error
        except Unfit as error:
            raise self.unfit(stage, str(error)) from error
        stored = [name for name in names if not name.endswith(".beside")]
        weights = dict(zip(stored, self.tensors(stored), strict=True))
        for side in SIDES:
            if f"{side}.beside" in names:
                weights[f"{side}.beside"] = self.carriers(side).beside
        options = session_options(ort)
        # Sessions refer to these numbers and do not own them, so they live as long.
        values = [ort.OrtValue.ortvalue_from_numpy(weights[name]) for name in names]
        try:
            options.add_external_initializers(names, values)
            session = ort.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise self.failure(stage, error) from error
        return session

    def failure(self, stage: str, error: Exception) -> Exception:
        """The meaning of an error of ONNX Runtime: no memory, no thread, or a graph
        that does not work.
        """
        words = str(error).lower()
        if isinstance(error, MemoryError) or any(w in words for w in NO_MEMORY):
            return MemoryError(words)
        if "thread" in words:
            return EganError(
                f"cannot start threads: {error}", "OMP_NUM_THREADS=1 needs none"
            )
        return self.unfit(stage, str(error))

    def unfit(self, stage: str, why: str = "") -> EganError:
        rest = f": {why}" if why else ""
        return EganError(
            f"the graph {stage} in weights {self.path} is damaged{rest}",
            "copy or download the weights again",
        )


def size_of(array: NDArray, stage: str) -> tuple[int, int]:
    """Height and width of the picture that a stage's last input is about."""
    if inputs_of(stage)[-1] == "picture":
        return array.shape[1:3]
    return array.shape[2:4]


def session_options(ort: Any) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads()
    options.inter_op_num_threads = 1
    # Waiting threads sleep: spinning would take other processes' time, and gains
    # little.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return options


def threads() -> int:
    """As many as there are cores for this process, or as $OMP_NUM_THREADS says, if that
    is fewer.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    wanted = re.match(r"\s*0*([1-9]\d{0,3})\b", os.environ.get("OMP_NUM_THREADS", ""))
    most = int(wanted[1]) if wanted else MOST_THREADS
    return min(cores, most, MOST_THREADS)


def keep_heap_small() -> None:
    """Have the C library (glibc) map large arrays one by one: holes between them cost
    half as much again.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MAPPED)


def give_back_memory() -> None:
    """Make the C library (glibc) return free memory to the system; it keeps much of it
    otherwise.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def import_runtime() -> Any:
    """The package onnxruntime. Raises EganError where it cannot be loaded or is too
    old.
    """
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        raise EganError(
            f"cannot load ONNX Runtime: {error}", "pip install onnxruntime again"
        ) from error
    version = re.findall(r"\d+", getattr(onnxruntime, "__version__", "0"))[:2]
    if tuple(map(int, version)) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise EganError(
            f"onnxruntime {onnxruntime.__version__} is too old",
            f"pip install 'onnxruntime>={oldest}' brings another",
        )
    return onnxruntime
