"""A short run of the fuzzer, and proof that it would notice."""

from __future__ import annotations

from pathlib import Path

import fuzz
import pytest


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_input_ends_in_words() -> None:
    survived = fuzz.fuzz(1500, seed=7)
    # Some damage is harmless: the seeds themselves are whole.
    assert all(survived.values()), survived


def test_a_parser_that_fails_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def careless(*_: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(fuzz, "read_header", careless)
    with pytest.raises(IndexError):
        fuzz.fuzz(100, seed=1)
    assert len(list(tmp_path.glob("fuzz-1-*.bin"))) == 1
