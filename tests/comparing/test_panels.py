"""Panels against a spreadsheet of plain loops; what is refused, and what is called a no-op."""

from __future__ import annotations

import math

import pytest
import sacrebleu
from builders.results import LANGUAGES, QUICK, compared, two_runs, write_run, write_sweep
from builders.results_files import edited
from builders.translations import translations

from lsn_eval.comparing import compare
from lsn_eval.comparing.panels import own_language
from lsn_eval.errors import LsnError
from lsn_eval.results import read_results
from lsn_eval.results.run_files import read_file

OWN = [f"{language}:zero" for language in LANGUAGES]


def of_two(root, *, none=None, zero=None, **both):
    """The panel of `none` and `de:zero`, each written as it says."""
    write_sweep(root, conditions=["none"], **both, **(none or {}))
    write_sweep(root, conditions=["de:zero"], **both, **(zero or {}))
    (panel,) = compared(root).panels
    return panel


def perplexity(pairs) -> float:
    over, under = 0.0, 0
    for loglikelihood, tokens in pairs:
        over, under = over - loglikelihood, under + tokens
    return math.exp(over / under)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A folder, its panel, and a spreadsheet of the same."""
    folder = tmp_path_factory.mktemp("sweep")
    data = write_sweep(folder, controls=3)
    (panel,) = compared(folder).panels
    return folder, panel, {place: perplexity(pairs) for place, pairs in data.items()}


def test_every_cell_equals_a_spreadsheet(sweep):
    folder, panel, sheet = sweep
    assert panel.languages == ("en", "de", "zh")  # the mask's order
    assert panel.conditions == ("none", *OWN)
    assert panel.controls["de:zero"] == tuple(f"random{k}-de:zero" for k in (1, 2, 3))
    assert len(panel.changes) == len(sheet) == 13 * 3
    assert panel.change("de:zero", "xx") is None
    with pytest.raises(LsnError, match="condition 'de:mean' is not in this panel; it has none, en"):
        panel.change("de:mean", "de")
    for (condition, language), value in sheet.items():
        change = panel.change(condition, language)
        assert change.row.value == pytest.approx(value)
        if condition == "none":
            assert (change.baseline, change.shift, change.p) == (None, None, None)
            continue
        before = sheet["none", language]
        assert change.difference == pytest.approx(value - before)  # PPXC
        assert change.ratio == pytest.approx(value / before)
        assert change.relative == pytest.approx((value - before) / before)
        assert change.shift == pytest.approx(math.log(value) - math.log(before))
        assert change.interval[0] <= change.shift <= change.interval[1]
        assert (change.documents, change.obstacles) == (12, ())
    assert compared(folder).panels == (panel,)  # by the same draws


def test_means_selectivities_and_ranks_equal_a_spreadsheet(sweep):
    _, panel, sheet = sweep

    def shift(condition, language):
        return math.log(sheet[condition, language] / sheet["none", language])

    def selective(who, own):
        first, second = (shift(f"{who}{own}:zero", x) for x in LANGUAGES if x != own)
        return shift(f"{who}{own}:zero", own) - (first + second) / 2

    def mean(number):
        return pytest.approx(sum(number(x) for x in LANGUAGES) / 3)

    logs = mean(lambda x: math.log(sheet["de:zero", x]))
    assert math.log(panel.mean_value("de:zero")) == logs
    assert panel.mean_shift("de:zero") == mean(lambda x: shift("de:zero", x))
    for own in LANGUAGES:
        controls = {f"random{k}-{own}:zero": f"random{k}-" for k in (1, 2, 3)}
        of_one = panel.selectivity[f"{own}:zero"]
        assert of_one.language == own
        assert of_one.value == pytest.approx(selective("", own))
        assert of_one.interval[0] < of_one.value < of_one.interval[1]
        expected = {name: selective(who, own) for name, who in controls.items()}
        assert of_one.controls == pytest.approx(expected)
        change = panel.change(f"{own}:zero", own)
        assert change.controls == pytest.approx({name: shift(name, own) for name in controls})
        assert (of_one.p, change.control_p) == (1 / 4, 1 / 4)
    larger = sum(shift(f"random{k}-de:zero", "en") >= shift("de:zero", "en") for k in (1, 2, 3))
    assert panel.change("de:zero", "en").control_p == (1 + larger) / 4
    overall = panel.overall["zero"]
    assert overall.languages == tuple(LANGUAGES)
    assert overall.selectivity == mean(lambda x: selective("", x))
    assert overall.own == mean(lambda x: shift(f"{x}:zero", x))
    assert overall.others == pytest.approx(overall.own - overall.selectivity)
    assert overall.controls == tuple(
        mean(lambda x, who=who: selective(who, x)) for who in ("random1-", "random2-", "random3-")
    )


def test_holm_corrects_over_the_panel_without_its_controls(sweep):
    _, panel, _ = sweep
    tested = {place: change.p for place, change in panel.changes.items() if place[0] in OWN}
    running = 0.0
    for rank, place in enumerate(sorted(tested, key=tested.get)):
        running = max(running, min(1.0, (9 - rank) * tested[place]))
        assert panel.changes[place].p_holm == pytest.approx(running)
    assert panel.change("random1-de:zero", "de").p is not None
    assert panel.change("random1-de:zero", "de").p_holm is None


def test_controls_without_their_condition_are_no_conditions(tmp_path):
    """They are in no family of tests, so that nothing else moves for them."""
    write_sweep(tmp_path, conditions=["none", "zh:zero"])
    (alone,) = compared(tmp_path).panels
    write_sweep(tmp_path, conditions=["random10-de:zero", "random2-de:zero"])
    (panel,) = compared(tmp_path).panels
    assert panel.conditions == ("none", "zh:zero")
    assert panel.lone_controls == ("random2-de:zero", "random10-de:zero")
    assert panel.controls == {}
    for language in LANGUAGES:
        place = "zh:zero", language
        assert panel.changes[place].p_holm == alone.changes[place].p_holm
    assert panel.change("random2-de:zero", "de").p is not None
    assert panel.change("random2-de:zero", "de").p_holm is None
    assert (panel.selectivity, panel.overall) == (alone.selectivity, alone.overall)
    assert panel.notes[0] == (
        "random2-de:zero, random10-de:zero: controls of a condition that was not measured, which "
        "are no conditions; --all-controls shows them"
    )


def test_the_interval_of_a_selectivity_without_spread_is_its_value(tmp_path):
    none, moved = (
        {
            f"ppl_{x}": {
                "token_perplexity": [
                    (-t * (1.1 + n / 10 + on * shift), t) for n, t in enumerate((10, 30, 20, 44))
                ]
            }
            for x, shift in {"en": 0.1, "de": 0.5, "zh": 0.03}.items()
        }
        for on in (0, 1)
    )
    panel = two_runs(tmp_path, none, moved)
    of_one = panel.selectivity["de:zero"]
    assert of_one.value == pytest.approx(0.5 - (0.1 + 0.03) / 2)
    assert of_one.interval == pytest.approx((of_one.value, of_one.value))
    assert panel.overall["zero"].interval == pytest.approx((of_one.value, of_one.value))
    assert panel.change("de:zero", "en").interval == pytest.approx((0.1, 0.1))


def test_controls_of_several_languages_go_by_their_number_not_by_their_place(tmp_path):
    write_sweep(tmp_path, controls=3)
    for file in (tmp_path / "random2-de_zero").iterdir():
        file.unlink()
    (panel,) = compared(tmp_path).panels
    found = panel.overall["zero"].controls
    expected = [
        sum(panel.selectivity[f"{x}:zero"].controls[f"random{k}-{x}:zero"] for x in LANGUAGES) / 3
        for k in (1, 3)
    ]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("condition", "own"),
    [("none", None), ("de:zero", "de"), ("random12-de:mean", "de"), ("es:zero/zh:mean", None),
     ("random1-es:zero/random1-zh:mean", None)],
)  # fmt: skip
def test_own_language(condition, own):
    assert own_language(condition) == own


def test_metrics_that_are_no_perplexities_are_compared_by_difference(tmp_path):
    before, after = [1, 0, 1, 1, 0, 1], [0, 0, 1, 0, 0, 1]
    panel = two_runs(tmp_path, {"xnli_de": {"acc": before}}, {"xnli_de": {"acc": after}})
    change = panel.change("de:zero", "de")
    assert panel.scale == "linear"
    assert change.shift == change.difference == pytest.approx(2 / 6 - 4 / 6)
    assert change.relative == pytest.approx(-0.5)
    assert change.p == 0.5  # two documents changed: 2 of 4 assignments are as extreme
    assert change.relative_interval == pytest.approx([end / (4 / 6) for end in change.interval])
    assert panel.selectivity == {}
    assert panel.mean_shift("de:zero") == change.shift


def setting(name, value):
    def edit(document):
        target = document
        *path, last = name.split("/")
        for part in path:
            target = target.setdefault(part, {})
        for key in list(target) if last == "*" else [last]:
            target[key] = value

    return edit


def in_configs(name, value):
    return lambda document: [
        config.update({name: value}) for config in document["configs"].values()
    ]


def each(*edits):
    return lambda document: [edit(document) for edit in edits]


FIVE_SHOTS = setting("n-shot/*", 5)
SAMPLED = in_configs("generation_kwargs", {"do_sample": True})
DIFFERENT = {
    "task version": (setting("versions/*", 2.0), None),
    "task definition": (in_configs("doc_to_text", "Q: {{text}}"), None),
    "documents": (setting("n-samples/*", {"original": 48, "effective": 5}), None),
    "few-shot examples": (FIVE_SHOTS, None),
    "few-shot definition": (each(FIVE_SHOTS, in_configs("fewshot_split", "dev")), FIVE_SHOTS),
    "few-shot seed": (each(FIVE_SHOTS, setting("config/fewshot_seed", 7)), FIVE_SHOTS),
    "few-shot as turns": (each(FIVE_SHOTS, setting("fewshot_as_multiturn", True)), FIVE_SHOTS),
    "chat template": (setting("chat_template_sha", "abc"), None),
    "system instruction": (setting("system_instruction_sha", "abc"), None),
    "generation arguments": (setting("config/gen_kwargs", {"max_gen_toks": 5}), None),
    "seed": (each(SAMPLED, setting("config/torch_seed", 2)), SAMPLED),
    "lm_eval": (setting("lm_eval_version", "0.5.0"), None),
    "transformers": (setting("transformers_version", "4.0"), None),
    "model revision": (setting("config/model_sha", "0123"), setting("config/model_sha", "4567")),
    "tokenizer": (setting("max_length", 512), None),
    "prompts": (setting("task_hashes", {"ppl_de": "1" * 64}), setting("task_hashes", {"ppl_de": "2" * 64})),
    "backend hf and vllm": (setting("config/model", "vllm"), None),
    "parameters 7 and 8": (setting("config/model_num_parameters", 8), setting("config/model_num_parameters", 7)),
    "data root /old and /new": (in_configs("metadata", {"data_root": "/new"}), in_configs("metadata", {"data_root": "/old"})),
    "loaded model 01 and 23": (setting("config/lsn/model/loaded", "23"), setting("config/lsn/model/loaded", "01")),
    "dtype float32 and bfloat16": (each(setting("config/model_dtype", "bfloat16"), setting("config/lsn/model/dtype", "bfloat16")), None),
    "model arguments none and prefix_token_id=7": (setting("config/model_args/prefix_token_id", 7), None),
    "model arguments none and load_in_4bit=True": (setting("config/model_args", "pretrained=org/model,load_in_4bit=True"), None),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_was_measured_with_something_else_is_refused_unless_allowed(tmp_path, name):
    edit, also = DIFFERENT[name]
    panel = of_two(
        tmp_path, none={"edit": also}, zero={"edit": edit, "samples": False}, languages=["de"]
    )
    assert panel.conditions == ("none", "de:zero")
    change = panel.change("de:zero", "de")
    assert (change.baseline, change.shift, change.incomparable) == (None, None, True)
    assert panel.mean_value("de:zero") is None
    (reason,) = change.obstacles
    assert reason.startswith(f"not comparable with none: {name}")
    assert f"de:zero on de: {reason}" in panel.notes
    named = [setting for setting in change.row.settings if name.startswith(setting)]
    allowed = compared(tmp_path, allow=named).panels[0].change("de:zero", "de")
    assert allowed.shift is not None
    assert not allowed.incomparable


@pytest.mark.parametrize("as_text", [False, True])
def test_arguments_that_change_no_number_may_differ(tmp_path, as_text):
    arguments = {"pretrained": "org/model", "batch_size": 4, "device": "cuda", "mask": "m"}
    text = ",".join(f"{name}={value}" for name, value in arguments.items())
    edit = setting("config/model_args", text if as_text else arguments)
    assert of_two(tmp_path, zero={"edit": edit}).change("de:zero", "de").shift > 0


def test_allowing_no_setting_is_an_error_that_lists_them(tmp_path):
    write_sweep(tmp_path, conditions=["none"])
    with pytest.raises(
        LsnError,
        match="task is no setting .* there are backend, chat template, data root, documents",
    ):
        compared(tmp_path, allow=["task"])


def test_two_dtypes_with_baselines_of_their_own_are_two_panels(tmp_path):
    for dtype in ("float32", "bfloat16"):
        write_sweep(tmp_path / dtype, conditions=["none", "de:zero"], dtype=dtype)
    panels = compared(tmp_path).panels
    assert [panel.dtype for panel in panels] == ["bfloat16", "float32"]
    assert all(panel.change("de:zero", "de").shift is not None for panel in panels)


@pytest.mark.parametrize("field", ["doc_hash", "prompt_hash", "target_hash"])
def test_samples_of_other_documents_or_prompts_forbid_the_comparison(tmp_path, field):
    def edit_sample(task, sample):
        if task == "ppl_de" and sample["doc_id"] == 3:
            sample[field] = "other"

    panel = of_two(tmp_path, zero={"edit_sample": edit_sample})
    change = panel.change("de:zero", "de")
    assert (change.shift, change.incomparable) == (None, True)
    assert "differ in 1 of 12 samples" in change.obstacles[0]
    assert panel.change("de:zero", "en").shift is not None
    assert (panel.mean_shift("de:zero"), panel.mean_value("de:zero")) == (None, None)
    assert panel.mean_value("none") is not None
    assert panel.selectivity == {}
    # Without reading samples nothing is known of the documents.
    assert compared(tmp_path, test=False).panels[0].change("de:zero", "de").shift is not None


def test_conditions_without_none_are_shown_and_compared_with_each_other(tmp_path):
    write_sweep(tmp_path, conditions=["de:zero", "en:zero"])
    (panel,) = compared(tmp_path).panels
    assert panel.change("de:zero", "de").obstacles == (
        "no baseline: evaluate the same task under none, with the same model",
    )
    assert panel.mean_value("de:zero") is not None
    write_sweep(tmp_path, conditions=["zh:zero"], edit=setting("lm_eval_version", "0.5.0"))
    (panel,) = compared(tmp_path).panels
    assert "not comparable with en:zero: lm_eval 0.4.13 and 0.5.0" in panel.change("zh:zero", "de").obstacles  # fmt: skip
    assert panel.mean_value("zh:zero") is None


def test_languages_measured_with_other_settings_have_no_mean(tmp_path):
    write_sweep(tmp_path, edit=setting("n-shot/ppl_de", 5))
    (panel,) = compared(tmp_path).panels
    assert panel.uneven == ("few-shot examples 0 and 5",)
    assert panel.mean_shift("de:zero") is None
    assert panel.mean_value("none") is None
    assert panel.mean_shift("de:zero", ["de"]) is not None
    assert (panel.selectivity, panel.overall) == ({}, {})
    assert "no mean: the languages were measured with few-shot examples 0 and 5" in panel.notes[-2]
    assert compared(tmp_path, allow=["few-shot examples"]).panels[0].overall


def test_a_missing_language_has_neither_mean_nor_selectivity(tmp_path):
    write_sweep(tmp_path)
    edited(next((tmp_path / "de_zero").glob("results_*")), lambda d: d["results"].pop("ppl_en"))
    (panel,) = compared(tmp_path).panels
    assert panel.change("de:zero", "en") is None
    assert panel.mean_shift("de:zero") is None
    assert panel.mean_value("de:zero") is None
    assert list(panel.selectivity) == ["en:zero", "zh:zero"]
    assert panel.overall["zero"].languages == ("en", "zh")


@pytest.mark.parametrize("value", [math.nan, math.inf, "N/A"])
@pytest.mark.parametrize("condition", ["none", "zero"])
def test_what_is_no_number_is_shown_and_refused(tmp_path, value, condition):
    edit = setting("results/ppl_de/token_perplexity,none", value)
    panel = of_two(tmp_path, **{condition: {"edit": edit}})
    change = panel.change("de:zero", "de")
    assert (change.shift, change.difference, change.relative) == (None, None, None)
    assert any("the value" in reason for reason in change.obstacles)
    assert panel.mean_shift("de:zero") is None
    assert panel.mean_value("none" if condition == "none" else "de:zero") is None


def test_numbers_alone_are_compared_without_tests(tmp_path):
    write_sweep(tmp_path, samples=False)
    comparison = compared(tmp_path)
    (panel,) = comparison.panels
    change = panel.change("de:zero", "de")
    assert (change.interval, change.p, change.p_holm) == (None, None, None)
    assert change.shift is not None
    assert change.control_p == 1 / 3
    assert panel.selectivity["de:zero"].interval is None
    assert not comparison.tested


def test_samples_that_do_not_give_the_value_make_no_test_and_say_so(tmp_path):
    panel = of_two(tmp_path, zero={"values": {"token_perplexity": 7.0}})
    change = panel.change("de:zero", "de")
    assert (change.row.value, change.interval, change.p) == (7.0, None, None)
    assert change.shift == pytest.approx(math.log(7.0 / change.baseline.value))
    assert "do not give the value of token_perplexity" in change.obstacles[0]
    assert change.mark == "contradicted"
    assert panel.contradicted("de:zero")
    assert not panel.contradicted("none")
    assert not any("do not give" in note for note in panel.notes)  # the table marks it


def test_a_change_from_a_value_that_the_samples_contradict_is_marked(tmp_path):
    panel = of_two(tmp_path, none={"values": {"token_perplexity": 7.0}})
    change = panel.change("de:zero", "de")
    assert (change.contradicted, change.baseline_contradicted) == (False, True)
    assert (change.mark, change.p) == ("contradicted", None)
    assert panel.change("none", "de").contradicted


def test_a_statistic_that_no_file_is_found_by_contradicts_none(tmp_path):
    for condition in ("none", "de:zero"):
        tasks = {"x_de": {"macro_f1": [1, 0, 1, 1]}}
        write_run(tmp_path / condition[:2], condition, tasks, values={"macro_f1": 0.43})
    (panel,) = compared(tmp_path).panels
    assert not panel.contradicted("de:zero")
    assert any("none, de:zero on de: no test: the samples do not" in note for note in panel.notes)


@pytest.mark.parametrize("cut", [-30, None])
@pytest.mark.parametrize("condition", ["none", "de:zero"])
def test_broken_samples_make_no_test_and_the_number_stays(tmp_path, cut, condition):
    of_two(tmp_path)
    file = next((tmp_path / condition.replace(":", "_")).glob("samples_ppl_de_*"))
    text = file.read_text()
    file.write_text(text[:cut] if cut else text.rstrip().rpartition("\n")[0])
    (panel,) = compared(tmp_path).panels
    change = panel.change("de:zero", "de")
    assert change.p is None
    assert change.shift is not None
    assert any("no test" in note for note in panel.notes)
    assert panel.change("de:zero", "en").p is not None


def test_samples_of_fewer_documents_that_give_the_value_make_no_test(tmp_path):
    two_runs(tmp_path, {"a_de": {"acc": [1, 0, 1, 0]}}, {"a_de": {"acc": [0, 1, 0, 1]}})
    file = next((tmp_path / "none").glob("samples_*"))
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))
    change = compared(tmp_path).panels[0].change("de:zero", "de")
    assert (change.p, change.shift) == (None, 0)
    assert "no test: samples of 2 documents" in compared(tmp_path).panels[0].notes[0]


def test_models_masks_and_filters_are_panels_of_their_own_with_the_same_baseline(tmp_path):
    write_sweep(tmp_path / "a", conditions=["none", "de:zero"])
    write_sweep(tmp_path / "b", conditions=["de:zero"], digest="f" * 64, seed=0, effect=0.1)
    write_sweep(tmp_path / "c", conditions=["none", "de:zero"], model="org/other")
    panels = compared(tmp_path).panels
    assert [(p.model, p.mask) for p in panels] == [
        ("org/model", "sha256-3986c9d8f34d"), ("org/model", "sha256-ffffffffffff"),
        ("org/other", "sha256-3986c9d8f34d"),
    ]  # fmt: skip
    assert all(panel.change("de:zero", "de").shift is not None for panel in panels)
    assert all(panel.conditions == ("none", "de:zero") for panel in panels)


def test_of_two_files_the_newest_counts_and_the_others_are_counted(tmp_path):
    write_sweep(tmp_path, conditions=["none", "de:zero"])
    write_sweep(tmp_path, conditions=["de:zero"], effect=0.2, date=9.0)
    comparison = compared(tmp_path)
    (remark,) = comparison.remarks
    assert remark.startswith("3 older results of the same model, condition and task were left out")
    assert comparison.panels[0].change("de:zero", "de").row.older == 1
    # Rows of all files: the newest is shown, and the others are named.
    rows = [row for file in sorted(tmp_path.rglob("results_*")) for row in read_file(file).rows]
    (panel,) = compare(rows, draws=QUICK).panels
    assert panel.change("de:zero", "de").row.date == 9.0
    assert any("measured twice" in note for note in panel.notes)


def test_tasks_without_a_language_have_panels_of_their_own(tmp_path):
    for condition, answers in ((None, [1, 0, 1]), ("de:zero", [0, 0, 1])):
        tasks = {"hellaswag": {"acc": answers}, "piqa": {"acc": answers}}
        edit = in_configs("dataset_kwargs", None)
        write_run(tmp_path / str(condition)[:2], condition, tasks, edit=edit)
    panels = compared(tmp_path).panels
    assert [(panel.family, panel.languages) for panel in panels] == [
        ("hellaswag", ("hellaswag",)), ("piqa", ("piqa",)),
    ]  # fmt: skip
    assert panels[0].change("de:zero", "hellaswag").shift == pytest.approx(-1 / 3)
    assert panels[0].selectivity == {}


def test_a_language_in_the_middle_of_the_name_is_a_column_of_one_family(tmp_path):
    edit = each(
        *(setting(f"configs/mt_{x}_en/dataset_kwargs", {"source": x, "target": "en"})
          for x in ("de", "fr"))
    )  # fmt: skip
    for condition in ("none", "de:zero"):
        tasks = {f"mt_{x}_en": {"acc": [1, 0]} for x in ("de", "fr")}
        write_run(tmp_path / condition[:2], condition, tasks, edit=edit)
    (panel,) = compared(tmp_path).panels
    assert (panel.family, panel.languages) == ("mt_*_en", ("de", "fr"))


def test_a_group_of_languages_is_lm_evals_mean_of_the_columns_and_left_out(tmp_path):
    group = setting("group_subtasks", {"ppl": ["ppl_en", "ppl_de", "ppl_zh"]})
    mean = setting("results/ppl", {"token_perplexity,none": 3.0})
    write_sweep(tmp_path, edit=each(mean, group))
    assert [panel.family for panel in compared(tmp_path).panels] == ["ppl_*"]


def test_a_group_is_compared_only_where_its_tasks_are(tmp_path):
    tasks = {"hellaswag": {"acc": [1, 0]}, "piqa": {"acc": [1, 0]}}
    inside = {"suite": ["inner"], "inner": ["hellaswag", "piqa"]}
    for condition, shots in (("none", 0), ("de:zero", 5)):
        edit = each(
            setting("results/suite", {"acc,none": 0.5 + shots / 100}),
            setting("group_subtasks", inside), setting("n-shot/piqa", shots),
        )  # fmt: skip
        write_run(tmp_path / condition[:2], condition, tasks, edit=edit)
    (suite,) = (panel for panel in compared(tmp_path).panels if panel.family == "suite")
    change = suite.change("de:zero", "suite")
    assert change.shift is None
    assert "few-shot examples" in change.obstacles[0]


def still(root, conditions=("none", "de:zero"), *, answers=(1, 0, 1, 1), same=True, **more):
    """Runs with the responses of `none`, or with others."""

    def edit_sample(task, sample):
        sample["resps"] = [["the same" if same else sample["doc_id"]]]

    tasks = {f"a_{x}": {"acc": list(answers)} for x in ("de", "en")}
    for condition in conditions:
        folder = root / condition.replace(":", "_")
        write_run(folder, condition, tasks, edit_sample=edit_sample, **more)
    return compared(root)


def test_no_change_anywhere_is_a_likely_no_op_whatever_the_scores(tmp_path):
    comparison = still(tmp_path, ("none", "de:zero", "random1-de:zero"))
    assert comparison.notes == (
        "under every condition the model did the same as under none: a likely no-op, an "
        "intervention that never happened",
    )
    assert len(comparison.unmoved) == 2
    assert comparison.panels[0].change("de:zero", "de").equal
    by_another_judge = still(tmp_path, ["de:zero"], answers=(0, 0, 0, 0))
    assert by_another_judge.notes == comparison.notes
    # Beside a condition that moves, the one that does not is named.
    still(tmp_path / "x")
    (note,) = still(tmp_path / "x", ["en:zero"], same=False).notes
    assert note.startswith(
        "de:zero (org/model, mask sha256-3986c9d8f34d): the model did the same as"
    )


def test_equal_accuracy_of_other_documents_or_other_answers_is_no_no_op(tmp_path):
    still(tmp_path, ["none"])
    still(tmp_path, ["de:zero"], same=False, answers=(0, 1, 1, 1))
    comparison = still(tmp_path, ["en:zero"], same=False)
    assert comparison.notes == ()
    by_chance = comparison.panels[0].change("de:zero", "de")
    assert (by_chance.difference, by_chance.equal, by_chance.undecided) == (0, False, True)
    assert comparison.panels[0].change("en:zero", "de").equal


def test_without_samples_a_no_op_may_be_chance_and_another_metric_counts(tmp_path):
    (note,) = still(tmp_path, samples=False).notes
    assert note.startswith("under every condition every number equals the one under none: a likely")
    assert "can be equal by chance" in note
    for condition, words in (("none", 3), ("de:zero", 4)):
        tasks = {"a_de": {"acc": [1, 0], "words": [words, 2]}}
        write_run(tmp_path / "x" / condition[:2], condition, tasks, samples=False)
    rows = read_results([tmp_path / "x"])
    assert compare(rows, draws=QUICK).notes == ()
    first = [row for row in rows if row.metric == "acc"]
    assert compare(first, draws=QUICK).notes
    assert not compare(first, draws=QUICK, beside=rows).notes


def test_few_documents_are_said_to_give_too_short_intervals(tmp_path):
    write_sweep(tmp_path / "a", documents=12)
    assert "intervals of 12 documents are too short" in compared(tmp_path).panels[0].notes[-1]
    write_sweep(tmp_path / "b", documents=40)
    assert compared(tmp_path / "b").panels[0].notes == ()


def test_warnings_of_a_results_file_reach_the_panel(tmp_path):
    notes = of_two(tmp_path, zero={"unchanged": ["mlp.act/1"]}).notes
    assert any("was there already" in note for note in notes)


def test_files_without_any_number_are_an_error(tmp_path):
    write_sweep(tmp_path, conditions=["none"], values={"token_perplexity": math.nan})
    with pytest.raises(LsnError, match="3 numbers were read and none can be used"):
        compared(tmp_path)


def test_a_metric_without_any_number_is_left_out_and_named(tmp_path):
    path = write_sweep(tmp_path, conditions=["none"]) and next(tmp_path.rglob("results_*"))
    edited(path, lambda d: [task.update({"f1,none": "N/A"}) for task in d["results"].values()])
    comparison = compared(tmp_path)
    assert len(comparison.panels) == 1
    assert comparison.remarks == ("f1 of ppl_* is no finite number in any file and is left out",)


def test_perplexities_of_whatever_aggregation_are_tested_on_the_log_scale(tmp_path):
    """A mean of per-document perplexities, as some tasks have it."""
    for condition, factor in (("none", 1.0), ("de:zero", 1.2)):
        items = [3.0 * factor, 5.0 * factor, 4.0 * factor + (factor > 1) / 10]
        tasks = {"a_de": {"chunk_perplexity": items}}
        write_run(tmp_path / condition.replace(":", "_"), condition, tasks, values={"chunk_perplexity": sum(items) / 3})  # fmt: skip
    change = compared(tmp_path).panels[0].change("de:zero", "de")
    assert change.interval[0] <= change.shift <= change.interval[1]
    assert change.shift == pytest.approx(math.log(change.row.value / 4.0))


def test_a_condition_that_is_none_is_one_message(tmp_path):
    write_sweep(tmp_path, conditions=["none", "what is this"])
    with pytest.raises(LsnError, match="what is this"):
        compared(tmp_path)


def test_translations_as_this_project_logs_them_are_tested_with_their_own_tokenizer(tmp_path):
    references, first, second = translations(40, 0.1, 3)
    expected = []
    for condition, texts in (("none", first), ("de:zero", second)):
        pairs = list(zip(texts, references, strict=True))
        values = {
            "bleu": sacrebleu.corpus_bleu(texts, [references], tokenize="char").score,
            "chrf++": sacrebleu.corpus_chrf(texts, [references], word_order=2).score,
        }
        expected.append(values)
        items = {"bleu": [[*pair, "char"] for pair in pairs], "chrf++": pairs}
        write_run(tmp_path / condition[:2], condition, {"mt_en_de": items}, values=values)
    for panel in compared(tmp_path).panels:
        change = panel.change("de:zero", "de")
        assert change.obstacles == ()
        assert change.shift == pytest.approx(expected[1][panel.metric] - expected[0][panel.metric])
        assert change.interval[0] < change.shift < change.interval[1]
        assert change.p < 0.05


def test_a_mask_lacks_nothing_that_another_mask_alone_was_evaluated_on(tmp_path):
    write_sweep(tmp_path / "all", controls=1)
    small = [f"{who}{language}:zero" for language in ("zh", "de") for who in ("", "random1-")]
    two = ("zh", "de")
    write_sweep(
        tmp_path / "two", languages=two, conditions=["none", *small], digest="b" * 64, date=2.0
    )
    panels = {panel.mask: panel for panel in compared(tmp_path).panels}
    assert panels["sha256-" + "b" * 12].languages == ("de", "zh")
    (first,) = (panel for mask, panel in panels.items() if mask != "sha256-" + "b" * 12)
    assert first.languages == ("en", "de", "zh")
    for panel in panels.values():
        assert set(panel.selectivity) == {f"{language}:zero" for language in panel.languages}
        assert panel.overall["zero"].languages == panel.languages


def test_a_language_that_no_condition_was_evaluated_on_is_shown_as_missing(tmp_path):
    write_sweep(tmp_path, conditions=["none"])
    write_sweep(tmp_path, languages=("de", "zh"), conditions=["de:zero"])
    (panel,) = compared(tmp_path).panels
    assert panel.languages == ("en", "de", "zh")
    assert panel.mean_shift("de:zero") is None
    assert not panel.selectivity
