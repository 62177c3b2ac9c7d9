"""EncryptGAN on ONNX Runtime: the same as on torch, and nothing of a stranger's graph that networks do not need."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from egan.core import onnx_model, runtime
from egan.core.encryptgan import EncryptGANNetworks
from egan.core.export import export_graphs
from egan.core.graphs import (
    MOST_BYTES,
    MOST_NODES,
    Unfit,
    check_graph,
    stages_of,
)
from egan.core.inference import KeyedModel
from egan.core.load import load_model
from egan.core.onnx_model import OnnxModel, threads
from egan.core.options import ModelOptions
from egan.core.runtime import open_model
from egan.core.weights import PREFIX, read_header, with_header
from egan.errors import EganError

TINY = ModelOptions(
    image_size=64, key_width=4, width=8, encoder_blocks=1, decoder_blocks=1
)
KINDS = {
    "measured by a network": TINY,
    "measured exactly": replace(TINY, exact_measuring=True, key_levels=True),
    "paper": replace(TINY, family="paper", resnet_width=4, resnet_blocks=1),
}


@pytest.fixture(scope="module")
def pairs(
    tmp_path_factory: pytest.TempPathFactory, weights: Path
) -> dict[str, tuple[EncryptGANNetworks, OnnxModel]]:
    """Models of every kind, on torch and on ONNX Runtime."""
    made = {}
    start = load_model(weights).state_dict()
    for kind, options in KINDS.items():
        path = tmp_path_factory.mktemp("models") / "w.safetensors"
        model = EncryptGANNetworks(options)
        if model.locked:
            model.load_state_dict(start)
        model.save(path, {})
        made[kind] = (load_model(path), open_model(path, "cpu"))
    return made  # type: ignore[return-value]


class Inputs:
    """Pictures, keys and keystreams of noise, the same every time."""

    def __init__(self, model: KeyedModel, count: int = 3, side: int = 64) -> None:
        random = np.random.default_rng(7)

        def noise(*shape: int) -> np.ndarray:
            return random.integers(0, 256, shape, dtype=np.uint8)

        self.pictures = noise(count, side, side + 16, 3)
        self.keys = noise(count, 48, 80, 3)
        shape = model.keystream_shape(side, side + 16)
        self.streams = noise(count, *shape) if model.locked else None


def far(one: np.ndarray, two: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - two).max())


@pytest.mark.parametrize("kind", KINDS)
def test_both_runtimes_agree_to_one_level(
    kind: str, pairs: dict[str, tuple[EncryptGANNetworks, OnnxModel]]
) -> None:
    torch_model, onnx_model = pairs[kind]
    i = Inputs(torch_model)
    layers = TINY.public_layers
    assert (
        far(
            torch_model.key_images(i.pictures, layers),
            onnx_model.key_images(i.pictures, layers),
        )
        <= 1
    )
    arguments = (i.pictures, i.keys, i.streams)
    disguises = torch_model.encrypt(*arguments)
    for verb in ("decrypt", "unsign"):
        one, two = (
            getattr(model, verb)(disguises, i.keys, i.streams)
            for model in (torch_model, onnx_model)
        )
        assert far(one, two) <= 1
    phases = disguises if i.streams is None else i.streams
    if torch_model.locked:
        painted = torch_model.render(phases, i.keys)
        assert np.abs(painted - onnx_model.render(phases, i.keys)).max() < 1e-2
        differ = torch_model.phase_bytes(i.pictures, i.keys) != onnx_model.phase_bytes(
            i.pictures, i.keys
        )
        assert differ.mean() < 1e-3
    else:
        assert far(disguises, onnx_model.encrypt(*arguments)) <= 1


def test_what_one_runtime_hides_the_other_reveals(
    pairs: dict[str, tuple[EncryptGANNetworks, OnnxModel]],
) -> None:
    for kind in ("measured by a network", "measured exactly"):
        for hider in pairs[kind]:
            i = Inputs(hider)
            pictures = np.full_like(i.pictures, 90)
            for hide, reveal in (("encrypt", "decrypt"), ("sign", "unsign")):
                sent = getattr(hider, hide)(pictures, i.keys, i.streams)
                for revealer in pairs[kind]:
                    got = getattr(revealer, reveal)(sent, i.keys, i.streams)
                    assert np.abs(got.astype(int) - pictures).mean() < 8


@pytest.mark.parametrize("kind", KINDS)
def test_alone_and_in_a_batch_are_the_same_to_the_bit(
    kind: str, pairs: dict[str, tuple[EncryptGANNetworks, OnnxModel]]
) -> None:
    model = pairs[kind][1]
    i = Inputs(model, count=9)
    together = model.encrypt(i.pictures, i.keys, i.streams)
    opened = model.decrypt(together, i.keys, i.streams)
    for n in (0, 8):
        one = slice(n, n + 1)
        stream = None if i.streams is None else i.streams[one]
        alone = model.encrypt(i.pictures[one], i.keys[one], stream)
        assert (alone == together[one]).all()
        assert (model.decrypt(alone, i.keys[one], stream) == opened[one]).all()


def test_graphs_hold_no_weights_and_depend_on_options_alone() -> None:
    for options in KINDS.values():
        graphs = export_graphs(options)
        assert set(graphs) == set(stages_of(options))
        shapes = {
            name: tuple(tensor.shape)
            for name, tensor in EncryptGANNetworks(options).state_dict().items()
        } | {f"{side}.beside": (48, 48) for side in "FG"}
        for stage, graph in graphs.items():
            names = check_graph(graph, stage, shapes)
            used = {n for n in names if n in shapes}
            assert used == set(names)
            assert len(graph) < MOST_BYTES / 2


def changed(graph: bytes, change: Callable[[Any], None]) -> bytes:
    model = onnx.load_from_string(graph)
    change(model)
    return model.SerializeToString()


def foreign(model: Any) -> None:
    model.graph.node[0].op_type = "Loop"


def domain(model: Any) -> None:
    model.graph.node[0].domain = "com.microsoft"


def operators(model: Any) -> None:
    model.opset_import.add(domain="ai.onnx.ml", version=3)


def future(model: Any) -> None:
    model.opset_import[0].version = 9999


def function(model: Any) -> None:
    model.functions.add(name="f")


def subgraph(model: Any) -> None:
    model.graph.node[0].attribute.add(name="body").g.name = "inside"


def own_weight(model: Any) -> None:
    weight = model.graph.initializer[0]
    weight.ClearField("data_location")
    del weight.external_data[:]
    weight.raw_data = bytes(4 * int(np.prod(weight.dims)))


def file(model: Any) -> None:
    model.graph.initializer[0].name = "/etc/passwd"


def shape(model: Any) -> None:
    model.graph.initializer[0].dims[0] += 1


def other_type(model: Any) -> None:
    model.graph.initializer[0].data_type = onnx.TensorProto.DOUBLE


def constant_in_a_file(model: Any) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Constant")
    node.attribute[0].t.data_location = onnx.TensorProto.EXTERNAL


def inputs(model: Any) -> None:
    model.graph.input[0].name = "other"


def outputs(model: Any) -> None:
    model.graph.output.add().CopyFrom(model.graph.output[0])


def many(model: Any) -> None:
    for _ in range(MOST_NODES):
        model.graph.node.add(op_type="Add")


def large(model: Any) -> None:
    model.graph.doc_string = "x" * MOST_BYTES


def sparse(model: Any) -> None:
    model.graph.sparse_initializer.add()


CHANGES = [
    foreign,
    domain,
    operators,
    future,
    function,
    subgraph,
    own_weight,
    file,
    shape,
    other_type,
    constant_in_a_file,
    inputs,
    outputs,
    many,
    large,
    sparse,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_graph_that_networks_do_not_need_is_refused(
    change: Callable[[Any], None], weights: Path, tmp_path: Path
) -> None:
    graph = changed(export_graphs(TINY)["F.encode"], change)
    path = with_graph(weights, tmp_path, "F.encode", graph)
    model = open_model(path, "cpu")
    with pytest.raises(EganError, match="F.encode in weights .* is damaged") as error:
        encrypt(model)
    assert "\n" not in str(error.value)


def test_damaged_graphs_are_refused_before_onnx_runtime_sees_them(
    weights: Path,
) -> None:
    graph = export_graphs(TINY)["F.paint"]
    shapes = {n: tuple(t.shape) for n, t in load_model(weights).state_dict().items()}
    shapes |= {"F.beside": (48, 48)}
    check_graph(graph, "F.paint", shapes)
    random = np.random.default_rng(0)
    for cut in random.integers(0, len(graph), 60):
        with pytest.raises(Unfit):
            check_graph(graph[:cut], "F.paint", shapes)
    for noise in (b"", b"\xff" * 40, random.bytes(400)):
        with pytest.raises(Unfit):
            check_graph(noise, "F.paint", shapes)


def rewired(model: Any) -> None:
    """Allowed in every part, but no graph: a node takes what nobody makes."""
    model.graph.node[-1].input[0] = "nothing"


def transposed(model: Any) -> None:
    """A graph that runs, and makes something of another shape."""
    last = model.graph.node[-1]
    last.output[0] = "before"
    axes = onnx.helper.make_attribute("perm", [1, 0, 2, 3])
    node = model.graph.node.add(op_type="Transpose", input=["before"], output=["made"])
    node.attribute.append(axes)


@pytest.mark.parametrize("change", [rewired, transposed])
def test_a_graph_that_does_not_work_is_one_line(
    change: Callable[[Any], None], weights: Path, tmp_path: Path
) -> None:
    graph = changed(export_graphs(TINY)["F.encode"], change)
    model = open_model(with_graph(weights, tmp_path, "F.encode", graph), "cpu")
    with pytest.raises(EganError, match="F.encode in weights .* is damaged"):
        encrypt(model)


def with_graph(weights: Path, folder: Path, stage: str, graph: bytes | None) -> Path:
    """A copy of a weights file with another graph, or without any."""
    with safe_open(str(weights), "np") as opened:
        tensors = {
            name: opened.get_tensor(name)
            for name in opened.keys()  # noqa: SIM118
            if graph is not None or not name.startswith(PREFIX)
        }
        metadata = opened.metadata()
    if graph is not None:
        tensors[PREFIX + stage] = np.frombuffer(graph, np.uint8)
    data = save(tensors, metadata)
    path = folder / "changed.safetensors"
    header = read_header(io.BytesIO(data), len(data), str(path))
    path.write_bytes(with_header(data, header))
    return path


def encrypt(model: Any) -> np.ndarray:
    i = Inputs(model, 1)
    return model.encrypt(i.pictures, i.keys, i.streams)


def test_weights_without_graphs_run_on_torch(weights: Path, tmp_path: Path) -> None:
    bare = open_model(with_graph(weights, tmp_path, "", None), "cpu")
    assert isinstance(bare, EncryptGANNetworks)
    assert far(encrypt(bare), encrypt(load_model(weights))) == 0
    assert isinstance(open_model(weights, "cpu"), OnnxModel)


def test_what_is_missing_is_named_with_its_cure(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = with_graph(weights, tmp_path, "", None)
    installed = {"onnxruntime", "torch"}
    monkeypatch.setattr(runtime, "is_installed", lambda name: name in installed)
    installed.remove("torch")
    with pytest.raises(EganError, match="hold no graphs, so they need torch") as error:
        open_model(bare, "cpu")
    assert "pip install '.[torch]'" in error.value.hint
    with pytest.raises(EganError, match="device cuda needs torch"):
        open_model(weights, "cuda")
    with pytest.raises(EganError, match="egan train needs torch"):
        runtime.need_torch("egan train")
    installed.clear()
    with pytest.raises(EganError, match="ONNX Runtime is not installed"):
        open_model(weights, "cpu")
    installed.add("torch")
    assert isinstance(open_model(weights, "cpu"), EncryptGANNetworks)


def test_an_old_or_broken_onnx_runtime_is_named(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxruntime.__version__", "1.9.0")
    with pytest.raises(EganError, match="onnxruntime 1.9.0 is too old"):
        open_model(weights, "cpu")
    monkeypatch.undo()
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(EganError, match="cannot load ONNX Runtime"):
        onnx_model.import_runtime()


def test_threads_are_never_more_than_there_are_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)))
    for setting, expected in (
        ("1", 1),
        ("4", 4),
        ("100000", 6),
        ("0", 6),
        ("-3", 6),
        ("many", 6),
        ("", 6),
        (" 2 ", 2),
        ("3,2", 3),
    ):
        monkeypatch.setenv("OMP_NUM_THREADS", setting)
        assert threads() == expected


def test_threads_that_cannot_be_started_and_memory_that_is_short(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_model(weights, "cpu")
    assert isinstance(model, OnnxModel)
    memory = model.failure("K", RuntimeError("Failed to allocate memory: bad_alloc"))
    assert isinstance(memory, MemoryError)
    thread = model.failure("K", RuntimeError("pthread_create: thread failed"))
    assert isinstance(thread, EganError)
    assert thread.hint == "OMP_NUM_THREADS=1 needs none"
