"""Stages exported from torch to ONNX graphs, for ONNX Runtime to run without torch.

A graph is made from the options of a model alone and holds no weights: those are
external to it, under the names that they have in a weights file. Graphs are stored in
the same file (`egan.core.graphs`).
"""

from __future__ import annotations

import functools
import io
import warnings

import onnx
import torch
from torch import nn

from egan.core.graphs import inputs_of, outputs_of, stages_of
from egan.core.options import ModelOptions
from egan.core.stages import make_networks, make_stage

# Old enough for every ONNX Runtime that egan takes
OPSET = 17
# Any size will do, of a picture that is no square
SIDES = (128, 160)


@functools.cache
def export_graphs(options: ModelOptions) -> dict[str, bytes]:
    """The ONNX graph of every stage of a model with these options, by the stage's name."""
    # A run that saves must draw the same random numbers as one that does not.
    with torch.random.fork_rng(devices=[]):
        key_network, f, g = make_networks(options)
    random = torch.Generator().manual_seed(0)
    for network in (key_network, f, g):
        for weight in network.eval().requires_grad_(False).parameters():
            # The exporter makes one of weights with equal numbers, like biases of
            # zeros.
            weight.normal_(generator=random)
    traced: dict[object, bytes] = {}
    graphs = {}
    for stage in stages_of(options):
        # Both sides' decoders are the same but for their weights.
        kind = stage.partition(".")[2], inputs_of(stage)
        if kind not in traced:
            module = make_stage(stage, key_network, {"F": f, "G": g})
            traced[kind] = trace(module.eval(), stage, options)
        graphs[stage] = stripped(traced[kind], stage)
    return graphs


def trace(module: nn.Module, stage: str, options: ModelOptions) -> bytes:
    """A stage as a model of ONNX, with its weights."""
    examples = {
        "picture": torch.zeros(1, *SIDES, 3, dtype=torch.uint8),
        "key": torch.zeros(1, 3, *SIDES),
        "phases": torch.zeros(1, 2 * options.phases, *cells()),
        "components": torch.zeros(1, options.phases - options.verniers, *cells()),
    }
    inputs = inputs_of(stage)
    outputs = outputs_of(stage)
    rows_and_columns = {"picture": (1, 2)}
    free = {
        name: {0: "count"}
        | {
            axis: f"{name}_{letter}"
            for axis, letter in zip(rows_and_columns.get(name, (2, 3)), "hw")
        }
        for name in inputs
    }
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter by tracing is deprecated. The new one takes a hundred times as
        # long.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(examples[name] for name in inputs),
            buffer,  # type: ignore[arg-type]
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=free,
            opset_version=OPSET,
            # Folding would put weights into the graph.
            do_constant_folding=False,
            dynamo=False,
        )
    return buffer.getvalue()


def cells() -> tuple[int, int]:
    return SIDES[0] // 4, SIDES[1] // 4


def stripped(traced: bytes, stage: str) -> bytes:
    """A model of ONNX without its weights, which become external under their names in a
    weights file.
    """
    graph = onnx.load_from_string(traced)
    graph.producer_name, graph.producer_version, graph.doc_string = "egan", "", ""
    del graph.metadata_props[:]
    names = {}
    for weight in graph.graph.initializer:
        side = stage.partition(".")[0]
        names[weight.name] = stored = weight.name.replace("generator.", f"{side}.", 1)
        if stored == "beside":
            stored = f"{side}.beside"
        names[weight.name] = weight.name = stored
        weight.ClearField("raw_data")
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.external_data.add(key="location", value="weights")
    for number, node in enumerate(graph.graph.node):
        node.name, node.doc_string = f"{node.op_type}{number}", ""
        node.input[:] = [names.get(name, name) for name in node.input]
    del graph.graph.value_info[:]
    return graph.SerializeToString(deterministic=True)
