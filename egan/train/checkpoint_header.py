"""The description of a run in its checkpoint, read without torch and before anything is
loaded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safetensors import SafetensorError, safe_open

from egan.core.options import BaselineOptions, ModelOptions
from egan.core.weights import options_class
from egan.errors import EganError, out_of_memory, reason_of
from egan.train.run_folder import CHECKPOINT

if TYPE_CHECKING:
    # The type of what safe_open returns has no public name.
    SafeFile = Any

VERSION = "checkpoint/2"


@dataclasses.dataclass(frozen=True)
class RunDescription:
    """A run in plain data: what is trained, how, and what the command line asked for.

    training: None in checkpoints of before it was recorded. request: the fields of a
    `Request` by name, empty in checkpoints of before those were recorded.
    """

    model: ModelOptions | BaselineOptions
    training: dict[str, Any] | None
    request: dict[str, Any]


def read_description(path: Path) -> RunDescription:
    """The description in a checkpoint.

    Raises EganError for a file that is missing, damaged or no checkpoint.
    """
    if not path.is_file():
        raise EganError(
            f"cannot read checkpoint {path}: there is no such file",
            f"a run keeps it in its folder, as in runs/NAME/{CHECKPOINT}",
            2,
        )
    with opened(path, "np") as (_, metadata):
        return RunDescription(
            model_options(metadata["options"]),
            json.loads(metadata.get("training", "null")),
            json.loads(metadata.get("request", "{}")),
        )


def model_options(text: str) -> ModelOptions | BaselineOptions:
    """The options of any family from their JSON; a field that is left out has its
    default.
    """
    data = json.loads(text)
    return options_class(data["family"]).from_dict(data)


@contextlib.contextmanager
def opened(
    path: Path, framework: Literal["np", "pt"]
) -> Iterator[tuple[SafeFile, dict[str, str]]]:
    """A checkpoint file and its metadata.

    Raises EganError for a file that is damaged, no checkpoint, or does not fit what the
    block does with it.
    """
    try:
        with safe_open(str(path), framework) as file:
            metadata = file.metadata() or {}
            if metadata.get("egan") != VERSION:
                raise EganError(
                    f"{path} is not a training checkpoint of this version",
                    "--from starts a run with the networks of a weights file",
                )
            yield file, metadata
    except OSError as error:
        raise EganError(f"cannot read checkpoint {path}: {reason_of(error)}") from error
    except SafetensorError as error:
        raise EganError(
            f"cannot read checkpoint {path}: it is damaged, or no safetensors file"
        ) from error
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        raise EganError(
            f"checkpoint {path} lacks a part, or is of other networks",
            "a run goes on as it began: leave out the --set that it began without",
        ) from error
