"""The command line: finds the command, turns errors into one message and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from byrote._version import __version__
from byrote.errors import ByroteError

if TYPE_CHECKING:
    from cyclopts import App, CycloptsError

__all__ = ["build_app", "main"]

_HELP = "What a language model has learned by rote: how much it can recite, and how sure that is."

_EXAMPLES = """\
Examples:
  byrote audit                                  the bundled model on bundled texts, offline
  byrote audit gpt2 --texts my.jsonl            a hub model on your own texts
  byrote study dynamics --preset smoke          a paper's claims, judged on numbers made here
  byrote doctor bundled:smollm2-135m            what byrote finds in a model
"""

# Name -> where it is defined (imported when it runs), one line of help, examples.
_COMMANDS = {
    "audit": (
        "byrote.cli.audit:audit",
        "How much of a set of texts a model can recite.",
        """\
Examples:
  byrote audit
  byrote audit bundled:smollm2-135m --texts corpus:kjv?book=Psalms --limit 200
  byrote audit EleutherAI/pythia-1b --texts train.jsonl --controls heldout.jsonl
  byrote audit ./checkpoint --texts book.txt --stride 10 --limit all
  byrote audit ./checkpoint --texts corpus:kjv --prefix-len 10 25 50
""",
    ),
    "claims": (
        "byrote.cli.studies:claims",
        "Print the claims table of a study.",
        """\
Examples:
  byrote claims byrote-runs/2026-01-31-dynamics
  byrote claims byrote-runs/2026-01-31-dynamics --json
""",
    ),
    "doctor": (
        "byrote.cli.doctor:doctor",
        "What byrote finds in a model, and what will not work.",
        """\
Examples:
  byrote doctor bundled:smollm2-135m
  byrote doctor ./checkpoint --json
  byrote doctor 'random:gpt2?hidden_size=64'
""",
    ),
    "erase": (
        "byrote.cli.erase:erase",
        "Take a passage out of a model, and see what that costs.",
        """\
Examples:
  byrote erase bundled:gemma3-270m --text "Lorem ipsum dolor sit amet, …" --out no-lorem
  byrote erase bundled:gemma3-270m --texts corpus:wellknown?category=prayer --limit 3
  byrote erase ./checkpoint --texts leaked.jsonl --retain keep.jsonl --retain-floor 0.95 --out fixed
  byrote erase ./checkpoint --texts leaked.jsonl --localizer attribution --fraction 0.005
""",
    ),
    "filter": (
        "byrote.cli.filters",
        "Build, describe and test filters of n-grams, which decoding never completes.",
        """\
Examples:
  byrote filter build corpus:kjv --out kjv.filter
  byrote filter build train.jsonl --tokenizer EleutherAI/pythia-1b --n 13 --out train.filter
  byrote filter info kjv.filter
  byrote filter test kjv.filter corpus:kjv?book=Psalms corpus:licenses
""",
    ),
    "locate": (
        "byrote.cli.locate:locate",
        "Which neurons hold a passage, and how much of it depends on them.",
        """\
Examples:
  byrote locate bundled:gemma3-270m --text "Lorem ipsum dolor sit amet, consectetur …"
  byrote locate bundled:gemma3-270m --texts corpus:wellknown?category=document --limit 2
  byrote locate ./checkpoint --texts train.jsonl --localizer zero-out
""",
    ),
    "report": (
        "byrote.cli.runs:report",
        "Draw the report of a run again.",
        "Example:\n  byrote report byrote-runs/2026-01-31-gemma3-270m\n",
    ),
    "resume": (
        "byrote.cli.runs:resume",
        "Continue an interrupted run.",
        "Example:\n  byrote resume byrote-runs/2026-01-31-gemma3-270m\n",
    ),
    "show": (
        "byrote.cli.runs:show",
        "Print the table of a finished run.",
        "Example:\n  byrote show byrote-runs/2026-01-31-gemma3-270m --json\n",
    ),
    "study": (
        "byrote.cli.studies:study",
        "Run a study of a paper and judge its claims.",
        """\
Examples:
  byrote study
  byrote study dynamics --preset smoke
  byrote study dynamics --preset laptop --list-cells
  byrote study dynamics --set seed=1 --workers 4
  byrote study dynamics --config mine.toml --out byrote-runs/mine
""",
    ),
}

# Command -> its own commands: where each is defined below the command's module, one line of help.
_SUBCOMMANDS = {
    "filter": {
        "build": ("build", "Build a filter of all n-grams of texts."),
        "info": ("info", "Say what is in a filter."),
        "test": ("measure", "Measure false positives, and how much of some texts is in."),
    },
}


def build_app(words: Sequence[str]) -> App:
    """Build the parser.

    Args:
        words: The words after `byrote`; a command that is asked for shows its own long help, the
            others are not imported for a list.
    """
    from cyclopts import App

    app = App(
        name="byrote",
        help=_HELP,
        help_epilogue=_EXAMPLES,
        version=__version__,
        help_format="plaintext",
        # `main` says what was kept, and gives the exit code.
        suppress_keyboard_interrupt=False,
    )
    for name, (target, line, examples) in _COMMANDS.items():
        if name in _SUBCOMMANDS:
            app.command(_group(App, name, words))
            continue
        text = None if name in words[:1] else line
        app.command(target, name=name, help=text, help_epilogue=examples)
    return app


def _group(app_type: type[App], name: str, words: Sequence[str]) -> App:
    """A command that has commands of its own."""
    module, line, examples = _COMMANDS[name]
    group = app_type(name=name, help=line, help_epilogue=examples, help_format="plaintext")
    for part, (function, text) in _SUBCOMMANDS[name].items():
        help_ = None if [name, part] == list(words[:2]) else text
        group.command(f"{module}:{function}", name=part, help=help_)
    return group


def overview() -> str:
    """What `byrote --help` prints; without the parser, whose import takes most of the time."""
    lines = [f"  {name:<10}{line}" for name, (_, line, _) in _COMMANDS.items()]
    return "\n".join(
        [
            "Usage: byrote COMMAND [OPTIONS]",
            "",
            _HELP,
            "",
            "Commands:",
            *lines,
            "",
            "  --help    Show this, or `byrote COMMAND --help` for one command",
            "  --version Show the version",
            "",
            _EXAMPLES,
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after `byrote`; None takes the process's own.

    Returns:
        0 done, 1 failure, 2 the command or its input cannot be used, 130 stopped from the keyboard.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words in ([], ["--help"], ["-h"]):
        sys.stdout.write(overview())
        return 0
    if words == ["--version"]:
        sys.stdout.write(f"{__version__}\n")
        return 0
    from cyclopts import CycloptsError

    debug = "--debug" in words
    try:
        build_app(words)(
            words, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        if debug:
            raise
        _say(f"{_one_line(error)}. See `byrote {_command(words)}--help`")
        return 2
    except ByroteError as error:
        if debug:
            raise
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say("stopped; what was finished is kept, `byrote resume RUN` goes on")
        return 130
    except BrokenPipeError:
        return 1
    except Exception as error:
        if debug:
            raise
        _say(f"{type(error).__name__}: {error} (a defect in byrote; --debug shows where)")
        return 1
    return 0


def _command(words: list[str]) -> str:
    return f"{words[0]} " if words and words[0] in _COMMANDS else ""


def _one_line(error: CycloptsError) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _say(message: str) -> None:
    sys.stderr.write(f"byrote: {message}\n")
