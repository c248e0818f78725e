"""`lsn-eval run`: lm-eval's own command with the plug-in loaded, bridge or not."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence

import typer

from lsn_eval.errors import LsnError

HELP = """\
Usage: lsn-eval run [ARGUMENTS OF 'lm_eval run']

Run lm-eval's own command with lsn_hf and the lsn_* tasks loaded, also where the start-up hook is
off (LSN_EVAL_AUTOLOAD=0) or not installed (pip --target, zip).

Example:
  lsn-eval run --model lsn_hf \\
    --model_args pretrained=lsn_demo,mask=demo/planted,condition=de:zero,dtype=float32 \\
    --tasks lsn_demo_ppl_de,lsn_demo_ppl_ru --device cpu --batch_size 8

LSN_EVAL_VERBOSE=1 shows every step that lm-eval logs.
'lsn-eval run --help-lm-eval' shows the arguments of 'lm_eval run'.
"""


def run(context: typer.Context) -> None:
    """Run 'lm_eval run' with its arguments and the plug-in."""
    arguments = list(context.args)
    if not arguments or "--help" in arguments or "-h" in arguments:
        print(HELP)
        return
    if "--help-lm-eval" in arguments:
        arguments = ["--help"]
    from lm_eval.__main__ import cli_evaluate

    from lsn_eval.harness import plugin
    from lsn_eval.harness.installed_packages import listed_here
    from lsn_eval.sweeping.screen import without_chatter

    sys.argv = ["lm_eval", "run", *arguments]
    plugin.register()
    try:
        with without_chatter(), plugin.asked_for(_tasks(arguments)), listed_here():
            cli_evaluate()
    except (ValueError, TypeError, OSError) as error:
        if not _refused_arguments(error):
            raise
        raise LsnError(
            f"lm-eval refuses these arguments: {error}; 'lsn-eval run --help' has an example, and "
            "'lm_eval ls tasks' lists the tasks"
        ) from error


def _tasks(arguments: Sequence[str]) -> list[str]:
    """What every `--tasks` names, as lm-eval reads it; nothing where it is not understood."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--tasks", "-t", nargs="+", action="extend", default=[])
    try:
        words = parser.parse_known_args(arguments)[0].tasks
    except argparse.ArgumentError:  # lm-eval's to report
        return []
    return [name for word in words for name in word.split(",") if name]


def _refused_arguments(error: BaseException) -> bool:
    """Whether it was raised where lm-eval checks its arguments, and nowhere else."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    where = frame.f_globals["__name__"]
    return where in ("lm_eval.config.evaluate_config", "lm_eval.evaluator")
