"""`lsn-eval judge`: grade saved generations, or compare those of two conditions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from lsn_eval.cli.options import Force, check_new


def judge(
    results: Annotated[
        list[Path],
        typer.Argument(
            help="samples_*.jsonl of lm-eval, the results file beside it, their folder, or a spool "
            "file."
        ),
    ],
    model: Annotated[str, typer.Option(help="The judge, as the endpoint names it.")],
    base_url: Annotated[
        str | None, typer.Option(help="The endpoint; default OPENAI_BASE_URL.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("graded.json"),
    pairwise: Annotated[
        bool, typer.Option("--pairwise", help="Compare two runs, each question in both orders.")
    ] = False,
    concurrency: Annotated[int, typer.Option(help="Requests under way at a time.", min=1)] = 8,
    parameters: Annotated[
        str | None,
        typer.Option(
            help='Sent with every request; default {"temperature": 0, "max_tokens": 1024}.'
        ),
    ] = None,
    attempts: Annotated[
        int, typer.Option(help="How often to ask for a reply that can be read.", min=1)
    ] = 3,
    timeout: Annotated[
        float, typer.Option(help="Seconds of silence until a retry; a request may take five times.")
    ] = 120.0,
    retries: Annotated[int, typer.Option(help="Retries of a failed request.", min=0)] = 6,
    price_input: Annotated[
        float | None, typer.Option(help="Your price per million tokens sent, for the cost.")
    ] = None,
    price_output: Annotated[
        float | None, typer.Option(help="Your price per million tokens received.")
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            help="A prompt instead of the built-in: FILE, or FILE.jsonl:NAME as FastChat's. It "
            "holds {question} and {answer}, or {answer_a} and {answer_b}, and asks for [[rating]] "
            "or for [[A]], [[B]], [[C]].",
            show_default="built-in",
        ),
    ] = None,
    cache: Annotated[Path, typer.Option(help="Folder that keeps every reply.")] = Path("lsn_judge"),
    force: Force = False,
) -> None:
    """Grade saved generations, or compare those of two runs.

    A model behind an OpenAI-compatible address gives 1 to 10. The key is read from OPENAI_API_KEY.
    Replies are kept: after an interruption the same command goes on where it was, and a repeat
    (with --force) sends nothing.

    Example: lsn-eval judge results/samples_lsn_mvicuna_de_2026-01-01T00-00-00.jsonl --model MODEL

    Example: lsn-eval judge none/ de_zero/ --model MODEL --pairwise --out pairs.json
    """
    from tqdm import tqdm

    from lsn_eval.judge import report
    from lsn_eval.judge.answers import load_saved
    from lsn_eval.judge.session import JudgeSession
    from lsn_eval.judge.settings import JudgeError, JudgeSettings, Prices
    from lsn_eval.storage.outside_files import parse_json
    from lsn_eval.storage.whole_files import whole_file

    if (price_input is None) != (price_output is None):
        raise JudgeError("a cost needs both --price-input and --price-output")
    prices = None
    if price_input is not None and price_output is not None:
        prices = Prices(price_input, price_output)
    if pairwise and len(results) != 2:
        raise JudgeError(f"--pairwise compares two runs and {len(results)} were given")
    check_new(out, force)
    given = {}
    if parameters is not None:
        given["parameters"] = parse_json(parameters, "--parameters", JudgeError)
    settings = JudgeSettings(
        model=model, base_url=base_url, concurrency=concurrency, attempts=attempts,
        timeout=timeout, retries=retries, template=template, **given,
    )  # fmt: skip
    runs = [load_saved(path) for path in results]
    with JudgeSession(settings, cache) as session, tqdm(desc="judge", disable=None) as bar:

        def progress(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        judge_runs = report.compare if pairwise else report.grade
        judged = judge_runs(session, runs, progress)
    if session.stopped is not None:
        raise JudgeError(
            f"{session.stopped}. {session.usage}. Replies so far are kept: run the same command "
            "again to go on"
        )
    usage = session.usage.as_json(prices)
    content = json.dumps(report.document(session, judged, usage), indent=2, ensure_ascii=True)
    with whole_file(out, JudgeError) as file:
        file.write(f"{content}\n".encode())
    print("\n".join(report.printed(session, judged)))
    if "cost" in usage:
        print(f"cost {usage['cost']:.4f}")
    print(f"written to {out}")
    if not any(entry.summary.judged for entry in judged):
        print("lsn-eval: error: nothing could be graded; why is said above", file=sys.stderr)
        raise typer.Exit(1)
