"""The command line: finds the command, turns errors into one message and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from byrote._version import __version__
from byrote.errors import ByroteError

__all__ = ["app", "main"]

_HELP = """\
What a language model has learned by rote: how much it can recite, and how sure we are.

Examples:
  byrote audit                                   audit the bundled model on bundled texts, offline
  byrote audit gpt2 --texts my.jsonl             audit a hub model on your own texts
  byrote audit ./checkpoint --texts corpus:kjv --prefix-len 10 25 50
  byrote doctor bundled:smollm2-135m             what byrote finds in a model
"""

_COMMANDS = {
    "audit": ("byrote.cli.audit:audit", "How much of a set of texts a model can recite."),
    "doctor": ("byrote.cli.doctor:doctor", "What byrote finds in a model, and what will not work."),
    "report": ("byrote.cli.runs:report", "Draw the report of a run again."),
    "resume": ("byrote.cli.runs:resume", "Continue an interrupted run."),
    "show": ("byrote.cli.runs:show", "Print the table of a finished run."),
}

app = App(name="byrote", help=_HELP, version=__version__, help_format="plaintext")
for _name, (_target, _help) in _COMMANDS.items():
    app.command(_target, name=_name, help=None if _name in sys.argv[1:2] else _help)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after `byrote`; None takes the process's own.

    Returns:
        0 done, 1 failure, 2 the command or its input cannot be used, 130 stopped from the keyboard.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        app(words, exit_on_error=False, print_error=False, result_action="return_value")
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
