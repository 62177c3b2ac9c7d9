"""The floors of the capsule, on built-in pictures."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from egan.bench import capsules
from egan.core import modulation
from egan.errors import EganError
from egan.pictures import builtin
from egan.pictures.files import Loaded
from egan.verbs.capsules import Robust
from egan.verbs.weights import Weights, find_weights


def test_what_opens_is_counted_and_measured_on_whole_disguises() -> None:
    drawn = builtin.portrait(160), builtin.flower(160), builtin.cat(64)
    triple = tuple(Loaded(pixels, None, "drawn") for pixels in drawn)
    weights = Weights(find_weights("egan"))
    found = capsules.measure(weights, [triple], 160, 48, Robust.JPEG)
    bare, whole = (found[way].messages for way in ("PNG, no capsule", "PNG"))
    (copy,) = found["JPEG 75"].messages
    assert abs(bare[0] - whole[0]) < 1 and whole[0] > copy + 3
    assert found["JPEG 90"].messages == [copy]
    assert not found["WebP 80"].messages
    assert found["WebP 80"].line("WebP 80", 1) == "WebP 80\t0 of 1"


def test_disguises_of_bench_carry_a_capsule_where_it_is_asked_for(tiny_model) -> None:
    model = copy.deepcopy(tiny_model)
    capsules.lay_capsules(model)
    composites = np.stack([builtin.portrait(128), builtin.cat(128)])
    keys = model.key_images(composites, (1, 2, 3))
    shape = model.keystream_shape(128, 128)
    streams = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    both = model.encrypt(composites, keys, streams)
    assert (model.encrypt(composites[:1], keys[:1], streams[:1])[0] == both[0]).all()
    plain = tiny_model.encrypt(composites, keys, streams)
    for disguise, bare in zip(both, plain, strict=True):
        assert modulation.quick_look(disguise @ modulation.LUMA) is not None
        assert modulation.quick_look(bare @ modulation.LUMA) is None
    with pytest.raises(EganError, match="too small"):
        model.encrypt(
            composites[:, :64, :64], keys[:, :64, :64], streams[..., :16, :16]
        )
