"""The floors of the capsule, on built-in pictures."""

from __future__ import annotations

from egan.bench import capsules
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
