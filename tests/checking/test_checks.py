"""`lsn-eval check`: every verdict, the baseline file, the formats, and what it costs to start."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from xml.etree import ElementTree

import pytest
from builders.commands import invoke
from builders.results_files import LANGUAGES, edited, ppl, task_results, write_results

from lsn_eval.checking import formats
from lsn_eval.checking.baseline_files import baseline_text, read_baseline
from lsn_eval.checking.baselines import BaselineError, Tolerance, make_baseline
from lsn_eval.checking.checks import check
from lsn_eval.checking.findings import CheckResult, Finding, Verdict
from lsn_eval.results import read_results

BASE = {"en": 3.0, "de": 4.0, "zh": 5.0}
GATES = [
    {"gate": "selectivity", "metric": "token_perplexity", "task": ppl("{language}"),
     "languages": list(LANGUAGES), "condition": "{language}:zero", "at_least": 0.05},
    {"gate": "control", "metric": "token_perplexity", "task": ppl("{language}"),
     "languages": list(LANGUAGES), "condition": "random*-{language}:zero", "below": 0.05},
]  # fmt: skip


class Checked:
    """Results, and the baseline that they are held against."""

    def __init__(self, folder: Path) -> None:
        self.results, self.baseline = folder / "results", folder / "baseline.json"

    def run(self, *options):
        arguments = (self.results, "--baseline", self.baseline, *options)
        return invoke("check", *arguments)

    def findings(self) -> list[Finding]:
        return list(check(self.results, self.baseline).findings)

    def failing(self) -> list[tuple[str, str, str]]:
        """Verdict, condition and task of what fails; the command's exit status agrees."""
        found = [finding for finding in self.findings() if finding.failing]
        shown = self.run()
        assert shown.exit_code == (1 if found else 0)
        for finding in found:
            line = f"^{finding.verdict} .*{re.escape(finding.condition)}"
            assert re.search(line, shown.output, re.M)
        return [(str(finding.verdict), finding.condition, finding.task) for finding in found]

    def gate(self, condition: str) -> Finding:
        gates = (Verdict.GATE_MET, Verdict.GATE_FAILED)
        found = [finding for finding in self.findings() if finding.verdict in gates]
        (finding,) = [finding for finding in found if finding.condition == condition]
        return finding

    def edit(self, change) -> None:
        edited(self.baseline, change)

    def edit_results(self, change, condition: str = "*") -> None:
        for path in self.results.glob(f"{condition.replace(':', '_')}/results_*.json"):
            edited(path, change)

    def set_value(self, condition: str, language: str, value) -> None:
        def change(document):
            document["results"][ppl(language)]["token_perplexity,none"] = value

        self.edit_results(change, condition)


def write_sweep(folder: Path, **options) -> None:
    """none; LANG:zero with +50 % on the own text and +1 % elsewhere; two controls with +1, -2 %."""
    factors = {"none": dict.fromkeys(LANGUAGES, 1.0)}
    for own in LANGUAGES:
        factors[f"{own}:zero"] = {code: 1.5 if code == own else 1.01 for code in LANGUAGES}
        factors |= {f"random1-{own}:zero": {own: 1.01}, f"random2-{own}:zero": {own: 0.98}}
    for condition, of in factors.items():
        results = {ppl(x): task_results(token_perplexity=BASE[x] * by) for x, by in of.items()}
        write_results(folder / condition.replace(":", "_"), results, condition=condition, **options)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    made = Checked(tmp_path_factory.mktemp("sweep"))
    write_sweep(made.results)
    assert made.run("--update").exit_code == 0
    made.edit(lambda document: document["gates"].extend(GATES))
    assert made.run("--update").exit_code == 0
    return made


@pytest.fixture
def sweep(written, tmp_path):
    """Results and a baseline with gates that they meet."""
    shutil.copytree(written.results.parent, tmp_path, dirs_exist_ok=True)
    return Checked(tmp_path)


# Verdicts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "factor", "verdict"),
    [
        ("none", 1.009, Verdict.OK),
        ("none", 0.991, Verdict.OK),
        ("none", 1.011, Verdict.REGRESSION),
        ("none", 0.989, Verdict.IMPROVED),  # a lower perplexity without intervention is no worse
        ("de:zero", 1.011, Verdict.REGRESSION),
        ("de:zero", 0.989, Verdict.REGRESSION),  # under one, any move says that it changed
    ],
)
def test_a_number_that_moved(sweep, condition, factor, verdict):
    sweep.edit(lambda document: document["gates"].clear())
    before = BASE["de"] * (1.0 if condition == "none" else 1.5)
    sweep.set_value(condition, "de", before * factor)
    moved = [finding for finding in sweep.findings() if finding.verdict != Verdict.OK]
    if verdict is Verdict.OK:
        assert moved == []
    else:
        (finding,) = moved
        assert finding.verdict is verdict
        assert (finding.condition, finding.task, finding.language) == (condition, ppl("de"), "de")
        assert finding.message.endswith(f"({factor - 1:+.2%})")
    assert bool(sweep.failing()) == verdict.failing


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "N/A"])
def test_what_is_no_finite_number_is_never_ok(sweep, value):
    wide = {"tolerance": {"absolute": 1e300}}
    sweep.edit(lambda document: [entry.update(wide) for entry in document["values"]])
    sweep.set_value("none", "de", value)
    verdicts = sweep.failing()
    assert ("not a number", "none", ppl("de")) in verdicts
    # Every gate needs the baseline; it is not met for want of a number.
    assert ("gate failed", "de:zero", ppl("de")) in verdicts
    assert ("gate failed", "random*-de:zero", ppl("de")) in verdicts


def test_a_missing_condition_a_missing_task_and_a_missing_metric_are_told_apart(sweep):
    sweep.edit(lambda document: document["gates"].clear())
    sweep.edit_results(lambda document: document["results"].clear(), "random1-en:zero")
    sweep.edit_results(lambda document: document["results"].pop(ppl("zh")), "de:zero")

    def rename(document):
        metrics = document["results"][ppl("en")]
        metrics["another,none"] = metrics.pop("token_perplexity,none")

    sweep.edit_results(rename, "zh:zero")
    assert sorted(sweep.failing()) == [
        ("missing condition", "random1-en:zero", ""),
        ("missing metric", "zh:zero", ppl("en")),
        ("missing task", "de:zero", ppl("zh")),
    ]


def test_what_is_new_is_reported_and_passes(sweep):
    write_results(sweep.results / "new", {ppl("de"): task_results(token_perplexity=1.0)}, condition="de:mean")  # fmt: skip
    write_results(sweep.results / "task", {"xnli_de": task_results(acc=0.5)}, condition="none")
    another = {"another,none": 1.0}
    sweep.edit_results(lambda document: document["results"][ppl("de")].update(another), "en:zero")
    assert sweep.failing() == []
    new = [finding for finding in sweep.findings() if finding.verdict is Verdict.NEW]
    assert sorted((finding.condition, finding.task, finding.metric) for finding in new) == [
        ("de:mean", "", ""),
        ("en:zero", ppl("de"), "another"),
        ("none", "xnli_de", ""),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"digest": "f" * 64}, "mask sha256-3986c9d8f34d -> sha256-ffffffffffff (under"),
        ({"dtype": "bfloat16"}, "dtype float32 -> bfloat16 (under"),
        ({"model": "other"}, "model lsn_demo -> other (under"),
        ({"version": 2.0}, "task version 1.0 -> 2.0 (under"),
        ({"documents": 8}, "documents 48 -> 8 (under"),
    ],
)
def test_a_changed_signature_fails_also_with_equal_numbers(sweep, options, message):
    write_sweep(sweep.results, **options)
    ((verdict, *_),) = sweep.failing()
    assert verdict == "changed signature"
    assert sweep.findings()[0].message.startswith(message)
    # --update accepts it.
    assert sweep.run("--update").exit_code == 0
    assert sweep.failing() == []


SETTINGS = [
    ("model revision", lambda d: d["config"].update(model_sha="abc123")),
    ("model arguments", lambda d: d["config"]["model_args"].update(load_in_8bit=True)),
    ("task definition", lambda d: d["configs"][ppl("de")].update(doc_to_text="Q: {{q}}")),
    ("task definition", lambda d: d["configs"][ppl("de")].update(dataset_path="another/one")),
    ("generation arguments", lambda d: d["config"].update(gen_kwargs={"temperature": 0.7})),
    ("chat template", lambda d: d.update(chat_template_sha="0123456789abcdef")),
]


@pytest.mark.parametrize(("name", "change"), SETTINGS)
def test_a_setting_that_compare_refuses_fails_by_its_name_unless_it_is_allowed(sweep, name, change):
    sweep.edit_results(lambda d: ppl("de") in d["configs"] and change(d))
    shown = sweep.run()
    assert shown.exit_code == 1
    assert re.search(f"^changed signature .*{name} ", shown.output, re.M)
    shown = sweep.run("--allow", name)
    assert shown.exit_code == 0, shown.output


def test_versions_are_said_to_have_changed_and_numbers_held_across_them(sweep):
    sweep.edit_results(lambda d: d.update(lm_eval_version="0.5", transformers_version="6"))
    shown = sweep.run()
    assert shown.exit_code == 0
    assert shown.output.startswith(
        "versions changed since the baseline: lm_eval 0.4.13 -> 0.5, transformers 5.0 -> 6\n"
    )


def test_settings_that_all_tasks_share_stand_once(sweep):
    document = json.loads(sweep.baseline.read_text())
    (model,) = document["models"]
    assert model["settings"]["dtype"] == "float32"
    assert [entry["task"] for entry in document["tasks"]] == [ppl(x) for x in ("de", "en", "zh")]
    names = {"task version", "task definition", "prompts", "documents"}
    assert all(set(entry["settings"]) == names for entry in document["tasks"])


@pytest.mark.slow
def test_what_only_some_files_say_is_kept(sweep):
    sweep.edit_results(lambda d: d.update(task_hashes={ppl("de"): "0123456789ab"}), "none")
    sweep.run("--update")
    assert sweep.failing() == []
    sweep.edit_results(lambda d: d.update(task_hashes={ppl("de"): "ba9876543210"}), "none")
    assert ("changed signature", "none", ppl("de")) in sweep.failing()


def test_two_masks_under_one_condition_are_not_taken_for_one(sweep):
    numbers = {ppl("de"): task_results(token_perplexity=BASE["de"] * 1.5)}
    write_results(sweep.results / "old", numbers, condition="de:zero", digest="f" * 64, date=1.0)
    found = [finding for finding in sweep.findings() if finding.failing]
    assert [finding.verdict for finding in found] == [
        Verdict.CHANGED_SIGNATURE, Verdict.GATE_FAILED,
    ]  # fmt: skip
    assert "sha256-ffffffffffff" in found[0].message
    assert "is there 2 times" in found[1].message
    with pytest.raises(BaselineError, match="mask sha256-3986c9d8f34d and sha256-ffffffffffff"):
        make_baseline(read_results([sweep.results]))


@pytest.mark.slow
def test_a_choice_looks_at_a_part(sweep):
    sweep.set_value("none", "en", 9.0)
    (sweep.results / "zh_zero" / "results_1795166306.2.json").unlink()
    for options, expected in [
        ((), 1),
        (("--language", "de", "--condition", "de:zero"), 0),
        (("--task", ppl("zh"), "--condition", "none"), 0),
        (("--task", ppl("e*")), 1),
        (("--condition", "zh:zero"), 1),
    ]:
        shown = sweep.run(*options)
        assert shown.exit_code == expected, shown.output
    part = ("--task", ppl("de"), "--condition", "de:zero")
    assert "4 ok, 2 gate met" in sweep.run(*part).output


def as_version_1(document) -> None:
    """As the file was before it named the settings."""
    dtype = document.pop("models")[0]["settings"]["dtype"]
    document["format_version"] = 1
    for entry in document["runs"]:
        entry["dtype"] = dtype
    for entry in document["tasks"]:
        of = entry.pop("settings")
        entry.update(version=of["task version"], shots=0, documents=int(of["documents"]))


@pytest.mark.slow
def test_a_file_of_version_1_is_read_with_a_note(sweep):
    sweep.edit(as_version_1)
    shown = sweep.run()
    assert shown.exit_code == 0
    assert "of format version 1, which names few settings" in shown.output
    assert "bounds of format version 1 were relative" in shown.output
    write_sweep(sweep.results, documents=8, dtype="float16")
    (bad,) = [finding for finding in sweep.findings() if finding.failing]
    assert bad.message.startswith("dtype float32 -> float16, documents 48 -> 8 (under")
    assert sweep.run("--update").exit_code == 0
    assert json.loads(sweep.baseline.read_text())["format_version"] == 2
    assert "version 1" not in sweep.run().output


def test_a_number_with_a_changed_signature_is_not_judged(sweep):
    sweep.edit(lambda document: document["gates"].clear())
    sweep.edit_results(lambda document: document["versions"].update({ppl("de"): 2.0}), "none")
    sweep.set_value("none", "de", 99.0)
    assert sweep.failing() == [("changed signature", "none", ppl("de"))]


@pytest.mark.slow
def test_a_plain_run_of_hf_serves_for_none(sweep):
    sweep.edit_results(lambda document: document["config"].pop("lsn"), "none")
    assert sweep.failing() == []


def test_an_intervention_that_does_nothing_turns_the_check_red(sweep):
    """As a broken hook would: the numbers of `none` under de:zero."""
    for language in LANGUAGES:
        sweep.set_value("de:zero", language, BASE[language])
    verdicts = sweep.failing()
    assert ("regression", "de:zero", ppl("de")) in verdicts
    assert ("gate failed", "de:zero", ppl("de")) in verdicts


# Gates ---------------------------------------------------------------------------------------


def test_selectivity_is_the_own_shift_minus_the_mean_of_the_others(sweep):
    met = sweep.gate("de:zero")
    assert met.verdict is Verdict.GATE_MET
    assert met.found == pytest.approx(math.log(1.5) - math.log(1.01))
    sweep.set_value("de:zero", "zh", BASE["zh"] * 2.2)
    missed = sweep.gate("de:zero")
    assert missed.verdict is Verdict.GATE_FAILED
    assert missed.found == pytest.approx(math.log(1.5) - (math.log(1.01) + math.log(2.2)) / 2)
    assert missed.message == "selectivity: own +0.405, mean of the others +0.399"


def test_a_control_gate_takes_the_largest_change_of_any_control(sweep):
    met = sweep.gate("random*-de:zero")
    assert met.found == pytest.approx(-math.log(0.98))
    assert met.message == "control: random2-de:zero -0.020, the largest of 2"
    sweep.set_value("random1-de:zero", "de", BASE["de"] * 1.052)
    assert sweep.gate("random*-de:zero").verdict is Verdict.GATE_FAILED
    # A star stays within one name.
    results_of_two = {ppl("en"): task_results(token_perplexity=99.0)}
    write_results(
        sweep.results / "two", results_of_two, condition="random1-de:zero/random1-en:zero"
    )
    assert sweep.gate("random*-en:zero").verdict is Verdict.GATE_MET


def test_where_more_is_better_a_fall_is_what_a_gate_measures(tmp_path):
    checked = Checked(tmp_path)
    for condition, own in (("none", 0.8), ("de:zero", 0.4)):
        results = {"acc_de": task_results(acc=own), "acc_en": task_results(acc=0.8)}
        folder = checked.results / condition.replace(":", "_")
        write_results(folder, results, condition=condition, higher_is_better=True)
    gate = {**GATES[0], "metric": "acc", "task": "acc_{language}", "languages": ["de", "en"], "at_least": 0.4}  # fmt: skip
    checked.run("--update")
    checked.edit(lambda document: document["gates"].append(gate))
    assert checked.gate("de:zero").found == pytest.approx(0.4)
    assert checked.gate("de:zero").verdict is Verdict.GATE_MET
    lacking = checked.gate("en:zero")
    assert lacking.verdict is Verdict.GATE_FAILED
    assert lacking.message == "selectivity: no acc of acc_de under en:zero in the results"


@pytest.mark.parametrize(
    ("condition", "found"),
    [("{language}:zero/zh:mean", {"de": 0.75, "en": 0.25}), ("zh:mean", {"de": 0.5, "en": 0.5})],
)
def test_a_success_gate_takes_the_rate_itself(tmp_path, condition, found):
    checked = Checked(tmp_path)
    rates = {
        "none": (0.0, 0.1),
        "de:zero/zh:mean": (0.75, 0.1),
        "en:zero/zh:mean": (0.0, 0.25),
        "zh:mean": (0.5, 0.5),
    }
    for name, (de, en) in rates.items():
        results = {
            f"ask_{x}": task_results(lsn_target_accuracy_zh=v) for x, v in (("de", de), ("en", en))
        }
        folder = checked.results / name.replace(":", "_").replace("/", "+")
        write_results(folder, results, condition=name, higher_is_better=True)
    checked.run("--update")
    gate = {
        "gate": "success",
        "metric": "lsn_target_accuracy_zh",
        "task": "ask_{language}",
        "languages": ["de", "en"],
        "condition": condition,
        "at_least": 0.5,
    }
    checked.edit(lambda document: document["gates"].append(gate))
    for language, rate in found.items():
        findings = [
            f
            for f in checked.findings()
            if f.language == language and f.message.startswith("success: ")
        ]
        (finding,) = findings
        assert finding.found == rate
        assert finding.verdict is (Verdict.GATE_MET if rate >= 0.5 else Verdict.GATE_FAILED)


def test_a_gate_without_controls_or_with_other_documents_is_not_met(sweep):
    for path in sweep.results.glob("random*-de_zero/results_*"):
        path.unlink()
    assert sweep.gate("random*-de:zero").verdict is Verdict.GATE_FAILED
    sweep.edit_results(lambda d: d["n-samples"][ppl("zh")].update(effective=8), "zh:zero")
    other = sweep.gate("zh:zero")
    assert other.verdict is Verdict.GATE_FAILED
    assert "under none and zh:zero was measured with documents 48 and 8" in other.message
    with pytest.raises(BaselineError, match="documents 48 and 8"):
        make_baseline(read_results([sweep.results]))


def test_a_gate_may_be_about_a_metric_that_the_values_leave_out(sweep):
    sweep.edit(lambda document: document.update(metrics=["another"], values=[]))
    assert sweep.gate("de:zero").verdict is Verdict.GATE_MET


def test_a_gate_is_not_met_by_results_without_a_number(sweep):
    sweep.edit(lambda d: [d[key].clear() for key in ("values", "runs", "tasks", "models")])
    sweep.edit_results(lambda document: document["results"].clear())
    assert [verdict for verdict, _, _ in sweep.failing()] == ["gate failed"] * 6


def test_update_does_not_loosen_a_gate(sweep):
    sweep.set_value("de:zero", "de", BASE["de"])
    updated = sweep.run("--update")
    assert updated.exit_code == 1
    assert "gate failed" in updated.output
    assert [gate.to_json() for gate in read_baseline(sweep.baseline).gates] == GATES


# The file ------------------------------------------------------------------------------------


def test_the_file_is_one_sorted_entry_a_line_so_that_one_number_is_one_line_of_a_diff(sweep):
    text = sweep.baseline.read_text()
    lines = text.splitlines()
    values = [line for line in lines if '"value":' in line]
    assert len(values) == 18
    entries = [json.loads(line.strip(" ,")) for line in values]
    keys = [(entry["model"], entry["condition"], entry["task"]) for entry in entries]
    assert keys == sorted(keys)
    read = read_baseline(sweep.baseline)
    assert baseline_text(read) == text
    for value in read.values:
        assert json.loads(lines[read.lines["value", *value.key] - 1].strip(" ,")) == value.to_json()
    sweep.set_value("none", "de", 4.5)
    sweep.run("--update")
    after = sweep.baseline.read_text().splitlines()
    assert sum(one != other for one, other in zip(lines, after, strict=True)) == 1


def test_update_keeps_what_was_written_by_hand_and_drops_what_is_gone(sweep):
    by_hand = {"tolerance": {"absolute": 0.5}, "worse": "lower"}
    sweep.edit(lambda document: document["values"][0].update(by_hand))
    for path in (sweep.results / "zh_zero").iterdir():
        path.unlink()
    shown = sweep.run("--update", "--tolerance", "5%")
    assert "15 values, 0 new, 0 moved, 3 removed; 2 gates kept" in shown.output
    values = read_baseline(sweep.baseline).values
    assert values[0].condition == "de:zero"
    assert (values[0].tolerance, values[0].worse) == (Tolerance("absolute", 0.5), "lower")
    assert values[1].tolerance == Tolerance("relative", 0.01)


@pytest.mark.parametrize(
    ("text", "kind", "amount", "value", "stderr", "allowed"),
    [
        ("0.01", "relative", 0.01, -4.0, None, 0.04),
        ("5%", "relative", 0.05, 4.0, None, 0.2),
        ("0.5abs", "absolute", 0.5, 4.0, None, 0.5),
        ("2se", "stderr", 2.0, 0.5, 0.1, 0.2),
        ("0", "relative", 0.0, 4.0, None, 0.0),
    ],
)
def test_tolerances(text, kind, amount, value, stderr, allowed):
    tolerance = Tolerance.parse(text)
    assert tolerance == Tolerance(kind, amount)
    assert tolerance.allowed(value, stderr) == pytest.approx(allowed)


@pytest.mark.slow
def test_a_tolerance_in_standard_errors(tmp_path):
    checked = Checked(tmp_path)

    def write(acc):
        results = {"xnli_de": task_results(acc=(acc, 0.02)), ppl("de"): task_results(p=3.0)}
        write_results(checked.results, results, condition=None, higher_is_better=True)

    write(0.5)
    checked.run("--update", "--tolerance", "2se")
    values = {value.name: value for value in read_baseline(checked.baseline).values}
    assert (values["acc"].tolerance, values["acc"].stderr) == (Tolerance("stderr", 2.0), 0.02)
    assert values["acc"].worse == "lower"
    assert values["p"].tolerance == Tolerance("relative", 0.01)  # it has no standard error
    for acc, bad in ((0.461, False), (0.459, True), (0.9, False)):
        write(acc)
        assert bool(checked.failing()) == bad


@pytest.mark.slow
def test_the_metrics_named_at_first_stay_the_only_ones(tmp_path):
    checked = Checked(tmp_path)
    write_results(checked.results, {ppl("de"): task_results(keep=1.0, leave=math.nan)})
    refused = checked.run("--update")
    assert refused.exit_code == 2
    assert "leave of lsn_demo_ppl_de under none is nan" in refused.output
    assert not checked.baseline.exists()
    for extra in (("--metric", "keep"), ()):
        assert checked.run("--update", *extra).exit_code == 0
        assert [value.name for value in read_baseline(checked.baseline).values] == ["keep"]
    assert checked.failing() == []
    assert checked.run().output == "passed: 1 ok\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="x"), "format 'lsn_eval baseline' was expected"),
        (lambda d: d.update(format=["x"]), "format is"),
        (lambda d: d.update(format_version=9), "format version 9 was given and 1 and 2 are read"),
        (lambda d: d.update(format_version=True), "a whole number"),
        (lambda d: d.pop("values"), "lacks values"),
        (lambda d: d.update(valeus=[]), "has valeus, which is unknown"),
        (lambda d: d.update(metrics="p"), "a list of texts was expected"),
        (lambda d: d["values"][0].update(value=math.nan), "value is NaN; a finite number"),
        (lambda d: d["values"][0].update(value=True), "value is true; a finite number"),
        (lambda d: d["values"][0].update(task=[1]), "task is [1]; a text was expected"),
        (lambda d: d["values"][0].update(tolerance=0.1), "tolerance is 0.1; an object"),
        (lambda d: d["values"][0].update(tolerance={"much": 1}), "one of relative"),
        (lambda d: d["values"][0].update(tolerance={"relative": -1}), "is negative"),
        (lambda d: d["values"][0].update(tolerance={"absolute": math.nan}), "a finite number"),
        (lambda d: d["values"][0].update(tolerance={"stderr": 2}), "needs the value's own"),
        (lambda d: d["values"][0].update(worse="down"), "worse 'down'; one of lower"),
        (lambda d: d["values"][0].update(tolerence=1), "has tolerence, which is unknown"),
        (lambda d: d["values"].append(d["values"][0]), "is there twice"),
        (lambda d: d["runs"].clear(), "has a value and no line in runs"),
        (lambda d: d["runs"].append("x"), "an object was expected"),
        (lambda d: d["models"][0]["settings"].update(dtype=1), "dtype is 1; a text"),
        (lambda d: d["gates"][0].update(gate="x"), "gate 'x'; one of selectivity, control"),
        (lambda d: d["gates"][0].pop("at_least"), "lacks at_least"),
        (lambda d: d["gates"][1].update(at_least=1), "has at_least, which is unknown"),
        (lambda d: d["gates"][0].update(languages=["de"]), "2 or more different languages"),
        (lambda d: d["gates"][0].update(condition="de:zero"), "lacks {language}"),
        (lambda d: d.update(gates={}), "a list was expected"),
        (lambda d: d["gates"].append(3), "gate 3"),
        (lambda d: (d["gates"].clear(), d["values"].clear()), "neither a value nor a gate"),
        (b"{", "cannot be read as JSON"),
        (b"\xff", "is not UTF-8"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"format": "lsn_eval baseline", "format_version": ' + b"9" * 5000 + b"}", "5000 digits"),
        (b"[]", "an object was expected"),
    ],
)
def test_a_baseline_that_contradicts_itself_is_one_message_and_exit_2(sweep, change, message):
    if isinstance(change, bytes):
        sweep.baseline.write_bytes(change)
    else:
        sweep.edit(change)
    before = sweep.baseline.read_bytes()
    for update in ((), ("--update",)):
        shown = sweep.run(*update)
        assert shown.exit_code == 2
        assert message in shown.output
        assert str(sweep.baseline) in shown.output
    assert sweep.baseline.read_bytes() == before


@pytest.mark.slow
def test_unusable_input_is_exit_2(sweep, tmp_path):
    absent, nowhere = Checked(tmp_path / "absent"), Checked(tmp_path)
    nowhere.baseline = tmp_path / "no" / "b.json"
    for checked, options, message in [
        (absent, ("--baseline", sweep.baseline), "does not exist"),
        (sweep, ("--baseline", tmp_path / "absent.json"), "--update"),
        (sweep, ("--tolerance", "1%"), "Add --update"),
        (sweep, ("--update", "--tolerance", "much"), "0.5abs"),
        (sweep, ("--update", "--tolerance", "nan"), "0.5abs"),
        (sweep, ("--update", "--metric", "x"), "--metric x: no such metric"),
        (sweep, ("--json", "--github"), "give one of them"),
        (sweep, ("--junit", tmp_path / "no" / "j.xml"), "folder"),
        (sweep, ("--allow", "weather"), "weather is no setting that results differ in; there are"),
        (nowhere, ("--update",), "folder"),
    ]:
        shown = checked.run(*options)
        assert (shown.exit_code, "Traceback" in shown.output) == (2, False)
        assert message in shown.output


# Formats -------------------------------------------------------------------------------------


def test_json(sweep):
    sweep.set_value("none", "de", math.nan)
    shown = sweep.run("--json")
    assert shown.exit_code == 1
    document = json.loads(shown.output, parse_constant=lambda name: pytest.fail(name))
    assert document["passed"] is False
    assert document["counts"]["not a number"] == 1
    assert len(document["findings"]) == 24
    assert document["findings"][0]["failing"]


def test_what_was_left_out_and_what_changed_nothing_are_said(sweep):
    write_results(sweep.results / "old", {ppl("de"): task_results(token_perplexity=9.0)}, date=1.0)
    dead = {"unchanged": ["mlp.act/1"]}
    sweep.edit_results(lambda document: document["config"]["lsn"]["seen"].update(dead), "de:zero")
    sweep.set_value("de:zero", "de", 5.0)
    shown = sweep.run("--github").output
    assert "1 older results of the same model, condition and task were left out" in shown
    assert "de:zero: every value written to mlp.act/1 was there already" in shown
    assert re.search(r"^regression .* 5\*", shown, re.M)
    assert "::warning file=" in shown  # the other two numbers under de:zero are ok, and marked


def test_junit_is_well_formed_and_counts(sweep, tmp_path):
    junit = tmp_path / "junit.xml"
    sweep.set_value("none", "de", 9.0)
    write_results(sweep.results / "new", {ppl("de"): task_results(p=1.0)}, condition="de:mean")
    assert sweep.run("--junit", junit).exit_code == 1
    root = ElementTree.parse(junit).getroot()
    cases = list(root.iter("testcase"))
    found = sweep.findings()
    bad = sum(finding.failing for finding in found)
    assert (root.get("tests"), root.get("failures")) == (str(len(found)), str(bad))
    assert len(cases) == len(found)
    assert len(list(root.iter("failure"))) == bad > 0
    assert len(list(root.iter("skipped"))) == 1
    assert {"regression", "gate failed"} >= {
        failure.get("type") for failure in root.iter("failure")
    }
    names = [(case.get("classname"), case.get("name")) for case in cases]
    assert len(set(names)) == len(names)


ODD = 'a<b>&"\x00\x1b]]>\n100%, x::y'


def test_odd_names_neither_break_the_xml_nor_an_annotation():
    finding = Finding(Verdict.REGRESSION, ODD, ODD, ODD, ODD, None, ODD, 1.0, 2.0, "+-1%", 3)
    root = ElementTree.fromstring(formats.junit([finding], Path("b,x:y%.json")))
    assert root.find(".//failure").text.count("]]>")
    (line,) = formats.github([finding], Path("b,x:y%.json"))
    assert "\n" not in line
    assert line.startswith("::error file=b%2Cx%3Ay%25.json,title=lsn-eval check%3A regression,line=3::")  # fmt: skip
    assert "100%25, x::y" in line
    assert "\n" not in formats.table(CheckResult((finding,))).splitlines()[1]


def test_annotations_stand_at_the_line_of_the_entry(sweep, monkeypatch):
    edit_lines = sweep.baseline.read_text().splitlines()
    sweep.set_value("none", "de", 4.5)
    monkeypatch.chdir(sweep.baseline.parent)
    shown = sweep.run("--github")
    errors = [line for line in shown.output.splitlines() if line.startswith("::error")]
    (moved,) = [line for line in errors if "regression" in line]
    place = re.match(r"::error file=baseline\.json,title=[^,]*,line=(\d+)::", moved)
    entry = json.loads(edit_lines[int(place[1]) - 1].strip(" ,"))
    assert (entry["condition"], entry["task"], entry["value"]) == ("none", ppl("de"), 4.0)


@pytest.mark.slow
def test_equal_results_pass_and_a_check_needs_neither_numpy_nor_torch(sweep):
    arguments = ["check", str(sweep.results), "--baseline", str(sweep.baseline)]
    code = (
        "import sys\nfrom lsn_eval.cli import app\n"
        f"app({arguments}, standalone_mode=False)\n"
        "heavy = {'numpy', 'scipy', 'torch', 'transformers', 'lm_eval', 'datasets', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "passed: 18 ok, 6 gate met\n"


# The real thing ------------------------------------------------------------------------------


@pytest.mark.stock
@pytest.mark.slow
def test_real_results_pass_their_own_baseline_and_a_broken_intervention_does_not(
    tmp_path, monkeypatch
):
    from lsn_eval.harness.lsn_hf import LsnHF
    from lsn_eval.sweeping.running import run_sweep
    from lsn_eval.sweeping.settings import SweepSettings

    checked, languages = Checked(tmp_path), ["de", "ru"]
    conditions = ("none", *(f"{who}{x}:zero" for x in languages for who in ("", "random1-")))
    settings = SweepSettings(
        model="lsn_demo", mask="demo/planted", conditions=conditions, dtype="float32",
        tasks=tuple(map(ppl, languages)), batch_size="16", device="cpu",
    )  # fmt: skip
    run_sweep(settings, checked.results, progress=False)
    assert checked.run("--update", "--metric", "token_perplexity").exit_code == 0
    checked.edit(lambda d: d["gates"].extend({**gate, "languages": languages} for gate in GATES))
    passed = checked.run()
    assert passed.output == "passed: 10 ok, 4 gate met\n"
    assert passed.exit_code == 0
    # The record still says de:zero, and no hook runs.
    monkeypatch.setattr(LsnHF, "_active", lambda self: nullcontext())
    shutil.rmtree(checked.results / "de_zero")
    run_sweep(settings, checked.results, progress=False)
    red = checked.run()
    assert red.exit_code == 1
    (moved,) = re.findall("^regression .*", red.output, re.M)
    (gate,) = re.findall("^gate failed .*", red.output, re.M)
    assert all("de:zero" in line and ppl("de") in line for line in (moved, gate))
