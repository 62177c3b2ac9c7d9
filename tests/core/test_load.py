"""The table of families."""

from egan.core.baseline_options import BASELINE_OPTIONS
from egan.core.load import FAMILIES, model_class
from egan.core.options import FAMILIES as OUR_FAMILIES
from egan.core.torch_model import TorchModel


def test_every_family_with_options_has_networks() -> None:
    assert set(FAMILIES) == {*OUR_FAMILIES, *BASELINE_OPTIONS}
    for family in FAMILIES:
        assert issubclass(model_class(family), TorchModel)
