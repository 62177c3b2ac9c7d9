"""Sessions that a person could type: text files in tests/commands/sessions, each session a test.

    ## A sentence that says what the session shows
    # Comments may stand anywhere.
    $ egan encrypt --pub pub.png composite.png > disguise.png
    $ egan decrypt --priv priv2.png disguise.png
    egan: error: disguise.png does not open: ...
    ...
    [1]

`$` begins a command, which goes on where a line ends in a backslash. Below it stand the lines
that it prints: standard output, then standard error; a picture is one line, as `PNG 64x64`.
`...` in a line is any text, alone in a line any lines. `[1]` is the exit status where it is not
0: of a pipe the last that is not 0. A command that ends with 1 or 2 must leave every file as it
was; `[1, files written]` stands where some are right.

The shell is small: pipes, `<`, `>`, `>>`, `2>`, quotes, `*` and `?`, `$NAME`, and NAME=value
before a command. egan runs inside of this process and so do `magick`, `identify` and
`looks-like` of session_tools.py, which know only what the sessions need; other tools are the
system's.
Each session begins in a folder with the files of the fixture `made` in conftest.py. Weights
that it names and that MADE knows are put there.
"""

from __future__ import annotations

import glob
import io
import os
import re
import subprocess
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, call
from PIL import Image
from session_tools import MADE, TOOLS

SYSTEM = (
    *("cat", "chmod", "cmp", "cp", "grep", "head", "ln", "ls", "mkdir", "mkfifo"),
    *("mv", "printf", "rm", "rmdir", "sha256sum", "stat", "tail", "test", "touch"),
)
ANY_LINES = "..."
STATUS = re.compile(r"\[(\d+)(, files written)?\]")


# Reading sessions


@dataclass
class Step:
    """One command, what it prints, and its exit status. line: counted from 1."""

    line: int
    command: str
    printed: list[str] = field(default_factory=list)
    status: int = 0
    writes: bool = False


@dataclass
class Session:
    line: int
    title: str
    steps: list[Step] = field(default_factory=list)


def parse(text: str) -> list[Session]:
    """Raises ValueError, with the number of the line, for what is no session."""
    sessions: list[Session] = []
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        if line.startswith("## "):
            sessions.append(Session(number, line[3:].strip()))
        elif line.startswith("$ "):
            if not sessions:
                raise ValueError(f"line {number}: a command before the first ##")
            command = line[2:]
            while command.endswith("\\"):
                command = command[:-1] + next(lines)[1].strip()
            sessions[-1].steps.append(Step(number, command))
        elif line.startswith("#") or not line.strip():
            continue
        elif not sessions or not sessions[-1].steps:
            raise ValueError(f"line {number}: output of no command")
        elif found := STATUS.fullmatch(line.strip()):
            step = sessions[-1].steps[-1]
            step.status, step.writes = int(found[1]), bool(found[2])
        else:
            sessions[-1].steps[-1].printed.append(line.rstrip())
    return sessions


def matches(expected: list[str], printed: list[str]) -> bool:
    """Whether lines are as expected, with `...` for any text or any lines."""
    pattern = ""
    for line in expected:
        if line.strip() == ANY_LINES:
            pattern += r"(?:.*\n)*"
        else:
            pattern += ".*".join(map(re.escape, line.split(ANY_LINES))) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


# The shell


PIECE = re.compile(
    r"""\s*(?:(?P<operator>2>|>>|>|<|\|)"""
    r"""|(?P<word>(?:[^\s'"|<>\\]|\\.|'[^']*'|"[^"]*")+))"""
)
PART = re.compile(r"""'([^']*)'|"([^"]*)"|\\(.)|([^'"\\]+)""")


@dataclass
class Command:
    """One command of a pipe: its words, and the files of its standard streams."""

    words: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def split(line: str) -> list[Command]:
    """The commands of a line. Raises ValueError for what this shell does not know."""
    pipe = [Command()]
    at, operator = 0, ""
    line = line.rstrip()
    while at < len(line):
        found = PIECE.match(line, at)
        if found is None:
            raise ValueError(f"not understood: {line[at:]}")
        at = found.end()
        if found["operator"] == "|":
            pipe.append(Command())
        elif found["operator"]:
            operator = found["operator"]
        elif operator:
            (pipe[-1].files[operator],) = expand(found["word"])
            operator = ""
        elif not pipe[-1].words and (
            name := re.match(r"([A-Z_][A-Z0-9_]*)=", found["word"])
        ):
            value = expand(found["word"][name.end() :])
            pipe[-1].variables[name[1]] = value[0] if value else ""
        else:
            pipe[-1].words += expand(found["word"])
    return pipe


def expand(word: str) -> list[str]:
    """A word without its quotes, as the names that match it where it is a pattern."""

    def variables(text: str) -> str:
        return re.sub(r"\$(\w+)", lambda name: os.environ.get(name[1], ""), text)

    plain, pattern, quoted = "", "", False
    for single, double, escaped, bare in PART.findall(word):
        literal = single or variables(double) or escaped
        plain += literal or variables(bare)
        pattern += glob.escape(literal) or variables(bare)
        quoted = quoted or not bare
    if any(c in PART.sub(r"\4", word) for c in "*?"):
        return sorted(glob.glob(pattern)) or [plain]
    return [plain] if plain or quoted else []


def run(line: str) -> tuple[int, bytes, bytes]:
    """Exit status, standard output and standard error of a line."""
    status, data, words = 0, b"", b""
    for command in split(line):
        source = command.files.get("<")
        data = Path(source).read_bytes() if source else data
        with pytest.MonkeyPatch.context() as patched:
            for name, value in command.variables.items():
                patched.setenv(name, value)
            one, data, said = start(command.words, data)
        status = one or status
        for operator, mode in ((">", "wb"), (">>", "ab")):
            if operator in command.files:
                with open(command.files[operator], mode) as file:
                    file.write(data)
                data = b""
        if "2>" in command.files:
            Path(command.files["2>"]).write_bytes(said)
        else:
            words += said
    return status, data, words


def start(words: list[str], data: bytes) -> tuple[int, bytes, bytes]:
    if not words:  # an assignment alone
        return 0, b"", b""
    name, *arguments = words
    if name == "egan":
        done = call(*arguments, stdin=data)
        return done.status, done.out, done.err.encode()
    if name in TOOLS:
        status, out = TOOLS[name](arguments, data)
        return status, out, b""
    if name not in SYSTEM:
        raise ValueError(f"sessions have no command {name}")
    ran = subprocess.run(
        words,
        input=data,
        capture_output=True,
        env=os.environ | {"LC_ALL": "C"},
        timeout=PATIENCE,
        check=False,
    )
    return ran.returncode, ran.stdout, ran.stderr


# Weights that sessions name


made_before: dict[str, bytes] = {}


def put_weights(session: Session) -> None:
    """Put weights that a session names into the current folder."""
    text = " ".join(step.command for step in session.steps)
    for name, make in MADE.items():
        if name not in text:
            continue
        if name not in made_before:
            make(Path(name))
            made_before[name] = Path(name).read_bytes()
        Path(name).write_bytes(made_before[name])


# Running sessions as tests


class Differs(Exception):
    """A command did or said something else than its session says."""


def state() -> dict[str, tuple[int, int, int]]:
    """Every file of the current folder, with what changes when it is written."""
    found = {}
    for path in Path().rglob("*"):
        if path.is_file():
            facts = path.stat()
            found[str(path)] = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
    return found


def lines_of(out: bytes) -> list[str]:
    """The lines on a terminal, empty ones left out; a picture as its size."""
    if out.startswith(b"\x89PNG"):
        width, height = Image.open(io.BytesIO(out)).size
        return [f"PNG {width}x{height}"]
    text = out.decode(errors="backslashreplace")
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def check(step: Step) -> None:
    before = state()
    try:
        status, out, said = run(step.command)
    except BaseException as error:
        raise Differs(f"{type(error).__name__}: {error}") from error
    printed = lines_of(out) + lines_of(said)
    if status != step.status or not matches(step.printed, printed):
        wanted = [*step.printed, f"[{step.status}]"]
        got = [*printed, f"[{status}]"]
        raise Differs("\n".join(("expected:", *wanted, "", "got:", *got)))
    for line in printed:
        if line.startswith("egan: error: ") and line.endswith("."):
            raise Differs(f"an error ends in a full stop: {line}")
    after = state()
    changed = {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}
    if left := [path for path in changed if ".egan-" in path]:
        raise Differs(f"it left {', '.join(left)}")
    changed -= set(re.findall(r"> *(\S+)", step.command))
    if changed and status in (1, 2) and not step.writes:
        raise Differs(f"it failed, and these are not as they were: {sorted(changed)}")


class SessionItem(pytest.Function):
    """One session. Its failures name the file and the line of the command."""

    session_text: Session

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.session_text.line - 1, self.session_text.title

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        if isinstance(excinfo.value, Differs):
            return "\n".join(excinfo.value.__notes__) + f"\n{excinfo.value}"
        return super().repr_failure(excinfo)


class SessionFile(pytest.Module):
    """A text file of sessions."""

    def _getobj(self) -> types.ModuleType:
        return types.ModuleType(self.path.stem)

    def collect(self) -> Iterator[SessionItem]:
        for session in parse(self.path.read_text()):
            item = SessionItem.from_parent(
                self, name=session.title, callobj=self.runner(session)
            )
            item.session_text = session
            yield item

    def runner(self, session: Session) -> Callable[..., None]:
        def run_session(here: Path) -> None:
            put_weights(session)
            for step in session.steps:
                try:
                    check(step)
                except Differs as error:
                    error.add_note(f"{self.path}:{step.line}: {session.title}")
                    error.add_note(f"$ {step.command}")
                    raise

        return run_session
