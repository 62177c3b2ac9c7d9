"""Named starting points, and how settings on the command line change them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from egan.core.baseline_options import BASELINE_OPTIONS
from egan.core.options import BaselineOptions, ModelOptions
from egan.errors import EganError
from egan.train.options import BASELINE_TRAINING, RunOptions, TrainOptions

# Options by name, before they are checked
Values: TypeAlias = dict[str, Any]
OptionField: TypeAlias = dataclasses.Field[Any]


# Each: model options, training options, where they differ from the defaults.
PRESETS: dict[str, tuple[Values, Values]] = {
    "egan": ({"key_levels": True, "exact_measuring": True}, {"crop": 128}),
    "tiny": (
        {
            "image_size": 64,
            "width": 24,
            "key_width": 8,
            "key_levels": True,
            "exact_measuring": True,
            "encoder_blocks": 1,
            "decoder_blocks": 1,
        },
        {
            "steps": 600,
            "batch": 8,
            "critic_crop": 0,
            "key_steps": 400,
            "discriminator_width": 8,
            "sample_every": 200,
            "perceptual": 0.0,
            "perceptual_x": 0.0,
        },
    ),
    # As published: CycleGAN's networks and schedule, the paper's key layers, right and
    # wrong keys at one half.
    "paper": (
        {"family": "paper", "public_layers": (3, 5, 6)},
        {
            "steps": 200_000,
            "batch": 1,
            "critic_crop": 0,
            "learning_rate": 2e-4,
            "discriminator_rate": 2e-4,
            "hold": 0.5,
            "clip": 0.0,
            "average": 0.0,
            "cycle": 10.0,
            "information": 10.0,
            "key_matching": 1.0,
            "key_painting": 0.0,
            "key_size": 0,
            "key_steps": 800,
            "adversarial": 1.0,
            "adversarial_x": 1.0,
            "disguise": 0.0,
            "perceptual": 0.0,
            "perceptual_x": 0.0,
            "wrong_key": 0.5,
            "backward_every": 1,
            "noise": 0.02,
            "input_noise": 0.02,
            "discriminator_width": 64,
        },
    ),
}

# Methods that the paper compares with; `published` follows their own papers.
# `tiny` is a first try: about a quarter of the width, and a higher rate, since the
# published ones are for days on a GPU.
SMALL_RUN = {"steps": 600, "batch": 4, "sample_every": 200, "bf16": True}
SMALL_GAN = {**SMALL_RUN, "discriminator_width": 16, "learning_rate": 5e-4}
BASELINE_PRESETS: dict[str, dict[str, tuple[Values, Values]]] = {
    family: {"published": ({}, {}), "tiny": ({"image_size": 64, "width": width}, run)}
    for family, width, run in (
        ("cyclegan", 16, SMALL_GAN),
        ("munit", 16, SMALL_GAN),
        ("drit", 16, SMALL_GAN),
        ("baluja", 12, SMALL_RUN),
    )
}


def parse_options(
    preset: str | None,
    settings: Sequence[str],
    method: str = "egan",
    start: ModelOptions | BaselineOptions | None = None,
    training: Values | None = None,
) -> tuple[ModelOptions | BaselineOptions, RunOptions]:
    """A method's preset with NAME=VALUE settings on top. Each setting goes to the
    option set that knows its name.

    Without a preset the method's first is taken: `egan`, or `published` for a method
    that the paper compares with.

    start: the model options of the networks that a run begins with. They take the place
    of the preset's model options, and of the preset where that is not named.

    training: options of a run to go on with, in place of the preset's.

    Raises EganError for unknown names and for a start of another method.
    """
    if start is not None:
        preset = preset_of_start(start, method, preset)
    model_class, train_class, presets = option_classes(method)
    preset = preset or next(iter(presets))
    check_preset(preset, method, presets)
    model_values, train_values = (dict(values) for values in presets[preset])
    if start is not None:
        model_values = dataclasses.asdict(start)
    if training is not None:
        train_values = dict(training)
    names = {setting.partition("=")[0] for setting in settings}
    if "steps" in names and "minutes" not in names:
        # A number of steps takes the place of the preset's minutes.
        train_values["minutes"] = 0.0
    fields = {f.name: (f, model_values) for f in dataclasses.fields(model_class)}
    fields |= {f.name: (f, train_values) for f in dataclasses.fields(train_class)}
    set_values(settings, fields)
    try:
        model = model_class.from_dict(model_values)
        options = train_class.from_dict(train_values)
    except EganError as error:
        raise EganError(str(error), error.hint, 2) from error
    return model, options


def check_preset(preset: str, method: str, presets: Mapping[str, object]) -> None:
    """Raises EganError for a name that none of a method's presets has."""
    if preset not in presets:
        raise EganError(
            f"unknown preset {preset!r} of the method {method}",
            f"known: {', '.join(presets)}",
            2,
        )


def preset_of_start(
    start: ModelOptions | BaselineOptions, method: str, preset: str | None
) -> str | None:
    """The preset of a run that begins with networks.

    Raises EganError for networks of another method or family.
    """
    if (start.family if start.family in BASELINE_OPTIONS else "egan") != method:
        raise EganError(
            f"these weights are of the method {start.family}, not {method}", status=2
        )
    if preset is not None and (preset == "paper") != (start.family == "paper"):
        raise EganError(
            f"these weights are of the family {start.family}, not of preset {preset}",
            "leave out --preset",
            2,
        )
    return preset or ("paper" if start.family == "paper" else None)


def set_values(
    settings: Sequence[str], fields: Mapping[str, tuple[OptionField, Values]]
) -> None:
    """Put NAME=VALUE into the values of the field that has the name.

    Raises EganError for unknown names and for values of another type.
    """
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in fields:
            raise EganError(
                f"unknown setting {setting!r}",
                f"known names: {', '.join(sorted(fields))}",
                2,
            )
        field, values = fields[name]
        values[name] = parse_value(name, text, field.default)


def option_classes(
    method: str,
) -> tuple[
    type[ModelOptions | BaselineOptions],
    type[RunOptions],
    dict[str, tuple[Values, Values]],
]:
    """The classes of a method's model options and training options, and its presets.
    Raises EganError for an unknown method.
    """
    if method == "egan":
        return ModelOptions, TrainOptions, PRESETS
    if method not in BASELINE_OPTIONS:
        raise EganError(
            f"unknown method {method!r}",
            f"known: egan, {', '.join(BASELINE_OPTIONS)}",
            2,
        )
    return BASELINE_OPTIONS[method], BASELINE_TRAINING[method], BASELINE_PRESETS[method]


def parse_value(name: str, text: str, default: object) -> object:
    """Text to the type of the default; tuples are comma-separated."""
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, tuple):
            kind = type(default[0]) if default else str
            return tuple(kind(part) for part in text.split(",") if part)
        return type(default)(text)  # type: ignore[call-arg]
    except (ValueError, KeyError) as error:
        raise EganError(
            f"setting {name} cannot be {text!r}", f"its default is {default}", 2
        ) from error
