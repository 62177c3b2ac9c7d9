"""ONNX graphs as weights files hold them: which there are, what goes in and out, and
whether one may be run.

A weights file may come from a stranger, so a graph is read here, to the last byte,
before ONNX Runtime sees it. It may hold the operators that networks of egan are made of
and nothing else: no graph inside of a node, no function, no file. Its weights are
external, by the names and shapes of the tensors in the same file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from egan.core.options import ModelOptions

MOST_BYTES = 256 * 1024
MOST_NODES = 1000
NEWEST_OPSET = 23
OPERATORS = frozenset(
    {
        "Abs",
        "Add",
        "Cast",
        "Clip",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Conv",
        "ConvTranspose",
        "DepthToSpace",
        "Div",
        "Gather",
        "InstanceNormalization",
        "Mul",
        "Pad",
        "ReduceMean",
        "ReduceMin",
        "Relu",
        "Reshape",
        "Resize",
        "Shape",
        "Sigmoid",
        "Sign",
        "Slice",
        "Squeeze",
        "Sub",
        "Tanh",
        "Transpose",
        "Unsqueeze",
    }
)
FLOAT32 = 1
EXTERNAL = 1
KEY_LAYERS = 6


def stages_of(options: ModelOptions) -> list[str]:
    """The stages that a model with these options runs (`egan.core.inference`)."""
    if options.family != "egan":
        return ["K", "F.translate", "G.translate"]
    verbs = ["encode", "paint", "reveal"]
    if not options.exact_measuring:
        verbs.append("measure")
    return ["K", *(f"{side}.{verb}" for side in "FG" for verb in verbs)]


def inputs_of(stage: str) -> tuple[str, ...]:
    """The names of a stage's inputs, in order."""
    side, _, verb = stage.partition(".")
    if verb in ("encode", "measure"):
        return ("picture", "key") if side == "G" else ("picture",)
    return {
        "": ("picture",),
        "paint": ("phases", "key"),
        "reveal": ("components", "phases", "key"),
        "translate": ("picture", "key"),
    }[verb]


def outputs_of(stage: str) -> tuple[str, ...]:
    """The names of a stage's outputs, in order."""
    if stage == "K":
        return tuple(f"map{i}" for i in range(1, KEY_LAYERS + 1))
    return ("made",)


class Unfit(ValueError):
    """Why a graph is not run."""


@dataclass
class Summary:
    """The requests of a graph: external weights with their shapes, names of inputs and
    outputs.
    """

    weights: dict[str, tuple[int, ...]] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    nodes: int = 0


def check_graph(
    data: bytes, stage: str, shapes: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """The names of the external weights of a stage's graph. shapes: of all that there
    are.

    Raises Unfit for a graph that is damaged, too large, holds what is not allowed, has
    other inputs or outputs than the stage, or asks for weights that there are not.
    """
    if len(data) > MOST_BYTES:
        raise Unfit(f"{len(data)} bytes")
    found = Summary()
    try:
        read_model(memoryview(data), found)
    except (IndexError, UnicodeDecodeError) as error:
        raise Unfit("damaged") from error
    if tuple(found.inputs) != inputs_of(stage):
        raise Unfit(f"inputs {found.inputs}")
    if tuple(found.outputs) != outputs_of(stage):
        raise Unfit(f"outputs {found.outputs}")
    for name, shape in found.weights.items():
        if shapes.get(name) != shape:
            raise Unfit(f"weights {name} of shape {shape}")
    return list(found.weights)


# What follows reads the fields of onnx.proto by their numbers.


def read_model(data: memoryview, found: Summary) -> None:
    graphs = 0
    for number, value in fields(data):
        if number == 7:
            read_graph(message(value), found)
            graphs += 1
        elif number == 8:
            read_opset(message(value))
        # Version, producer, domain, documentation
        elif number not in (1, 2, 3, 4, 5, 6):
            raise Unfit(f"field {number} of the model")
    if graphs != 1:
        raise Unfit(f"{graphs} graphs")


def read_opset(data: memoryview) -> None:
    for number, value in fields(data):
        if number == 1 and len(message(value)):
            raise Unfit(f"operators of {text(value)}")
        if number == 2 and not (isinstance(value, int) and value <= NEWEST_OPSET):
            raise Unfit(f"version {value} of the operators")


def read_graph(data: memoryview, found: Summary) -> None:
    for number, value in fields(data):
        if number == 1:
            read_node(message(value), found)
        elif number == 5:
            read_weight(message(value), found)
        elif number in (11, 12):
            names = found.inputs if number == 11 else found.outputs
            names.append(first(message(value), 1))
        # Name, documentation
        elif number not in (2, 10):
            raise Unfit(f"field {number} of the graph")


def read_node(data: memoryview, found: Summary) -> None:
    found.nodes += 1
    if found.nodes > MOST_NODES:
        raise Unfit(f"more than {MOST_NODES} operators")
    for number, value in fields(data):
        if number == 4 and text(value) not in OPERATORS:
            raise Unfit(f"operator {text(value)}")
        if number == 7 and len(message(value)):
            raise Unfit(f"operators of {text(value)}")
        if number == 5:
            read_attribute(message(value))
        elif number not in (1, 2, 3, 4, 6, 7):
            raise Unfit(f"field {number} of an operator")


def read_attribute(data: memoryview) -> None:
    for number, value in fields(data):
        if number == 5:
            read_tensor(message(value))
        # Name, numbers, text, lists of numbers, documentation, type. Not graphs.
        elif number not in (1, 2, 3, 4, 7, 8, 13, 20):
            raise Unfit(f"field {number} of an attribute")


def read_tensor(data: memoryview) -> tuple[str, tuple[int, ...], int, bool]:
    """Name, shape, type of numbers, and whether they are external. Only weights may be."""
    name, shape, kind, external = "", [], 0, False
    for number, value in fields(data):
        if number == 1:
            shape += [value] if isinstance(value, int) else list(varints(value))
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = text(value)
        elif number == 14:
            external = value == EXTERNAL
        # Numbers of several types, where the external ones are
        elif number not in (4, 5, 7, 9, 10, 13):
            raise Unfit(f"field {number} of a tensor")
    return name, tuple(shape), kind, external


def read_weight(data: memoryview, found: Summary) -> None:
    name, shape, kind, external = read_tensor(data)
    if not external or kind != FLOAT32 or name in found.weights:
        raise Unfit(f"weights {name}")
    found.weights[name] = shape


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Numbers and values of a protobuf message: whole numbers, or bytes of whatever
    else there is.
    """
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = varint(data, at)
            yield number, value
            continue
        if wire == 2:
            length, at = varint(data, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise Unfit("damaged")
        if at + length > len(data):
            raise Unfit("truncated")
        yield number, data[at : at + length]
        at += length


def varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise Unfit("damaged")


def varints(data: memoryview) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = varint(data, at)
        yield value


def message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise Unfit("damaged")
    return value


def text(value: int | memoryview) -> str:
    return bytes(message(value)).decode()


def first(data: memoryview, wanted: int) -> str:
    return next((text(value) for number, value in fields(data) if number == wanted), "")
