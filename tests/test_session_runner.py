"""Sessions that are wrong fail, and say where."""

from __future__ import annotations

from pathlib import Path

import pytest
import sessions
from sessions import Differs, check, matches, parse


def test_a_session_is_read_with_its_lines() -> None:
    text = (
        "# prose\n## One\n$ cat a \\\n    b\nsaid\n[1, files written]\n\n## Two\n$ ls\n"
    )
    one, two = parse(text)
    assert (one.title, one.line, two.title, two.line) == ("One", 2, "Two", 8)
    (step,) = one.steps
    assert (step.line, step.command) == (3, "cat a b")
    assert (step.printed, step.status, step.writes) == (["said"], 1, True)
    for wrong in ("$ ls\n", "## One\nsaid\n"):
        with pytest.raises(ValueError, match="line"):
            parse(wrong)


def test_dots_stand_for_any_text_and_alone_for_any_lines() -> None:
    assert matches(["a...z"], ["a to z"]) and not matches(["a...z"], ["a to y"])
    assert matches(["a", "...", "z"], ["a", "b", "c", "z"])
    assert matches(["a", "..."], ["a"]) and not matches(["a"], ["a", "b"])
    assert not matches(["a.b"], ["axb"])


def test_words_keep_their_quotes_and_patterns_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAME", "a value")
    for name in ("a.png", "b.png"):
        Path(name).touch()
    (command,) = sessions.split(
        """cp *.png '*.png' "$NAME" "$UNSET" $UNSET x\\ y > out"""
    )
    assert command.words == ["cp", "a.png", "b.png", "*.png", "a value", "", "x y"]
    assert command.files == {">": "out"}


@pytest.mark.parametrize(
    ("session", "why"),
    [
        ("$ cat a", r"got:\nhello\n\[0\]"),
        ("$ cat a\nhell", r"expected:\nhell\n\[0\]"),
        ("$ cat missing\n...", r"got:\n.*\n\[1\]"),
        ("$ mv a a/b\n...\n[0]", r"\[1\]"),
        ("$ egan encrypt a\n...\n[1]", r"got:\negan: error"),
        ("$ rm a missing\n...\n[1]", "are not as they were: \\['a'\\]"),
        ("$ touch .egan-x.part", "it left .egan-x.part"),
        ("$ bogus", "no command bogus"),
    ],
)
def test_a_session_that_is_wrong_fails(
    session: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").write_text("hello\n")
    (found,) = parse(f"## Wrong\n{session}\n")
    with pytest.raises(Differs, match=why):
        check(found.steps[0])
