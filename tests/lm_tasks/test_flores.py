"""`lsn_flores_*` on the real sentences there are, and on a few made up, through lm-eval."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest
import sacrebleu
import yaml
from builders.our_tasks import load_task, task_manager, write_files
from builders.reference import REFERENCE, needs_reference
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.lm_tasks import flores
from lsn_eval.lm_tasks.evaluated_languages import LANGUAGES
from lsn_eval.lm_tasks.local_data import LocalDataError
from lsn_eval.storage.shipped import tasks_dir

ENGLISH = ["The cat sleeps.", "It rains in Bonn.", "Nobody came.", "Bread is dear.", "We sing."]
GERMAN = [
    "Die Katze schläft.",
    "Es regnet in Bonn.",
    "Niemand kam.",
    "Brot ist teuer.",
    "Wir singen.",
]
THAI = ["แมวนอนหลับ", "ฝนตก", "ไม่มีใครมา", "ขนมปังแพง", "เราร้องเพลง"]


def write_release(root: Path, sentences: dict[str, list[str]]) -> Path:
    """The official layout: half of the sentences as dev, all as devtest."""
    return write_files(root, {
        f"flores200_dataset/{split}/{code}.{split}": "\n".join(lines[first:]) + "\n"
        for split, first in (("devtest", 0), ("dev", 2))
        for code, lines in sentences.items()
    })  # fmt: skip


@pytest.fixture(scope="module")
def made_up(tmp_path_factory) -> Path:
    texts = {"eng_Latn": ENGLISH, "deu_Latn": GERMAN, "tha_Thai": THAI}
    return write_release(tmp_path_factory.mktemp("data"), texts)


def manager(root: Path, **options) -> TaskManager:
    return task_manager("flores", data_root=str(root), **options)


def load(root: Path, name: str, **metadata):
    return load_task(name, data_root=str(root), **metadata)


def evaluate(tasks: list[str], tasks_of: TaskManager, **options) -> dict:
    lm = LsnHF("lsn_demo", condition=None, device="cpu", dtype="float32", batch_size=4)
    return simple_evaluate(lm, tasks=tasks, task_manager=tasks_of, bootstrap_iters=0, **options)


class Canned:
    """Answers for a model that is not there: a generation for each request."""

    def __init__(self, task, generations: list[str]) -> None:
        self.items: dict[str, list] = {}
        for doc, generation in zip(task.eval_docs, generations, strict=True):
            for metric, item in task.process_results(doc, [generation]).items():
                self.items.setdefault(metric, []).append(item)
        self.scores = {m: task.aggregation()[m](items) for m, items in self.items.items()}


@needs_reference
@pytest.mark.parametrize(
    ("name", "other", "tokenizer"),
    [
        ("lsn_flores_en_de", "de", "13a"),
        ("lsn_flores_en_zh", "zh", "zh"),
        ("lsn_flores_fr_en", "fr", "13a"),
    ],
)
@pytest.mark.slow
def test_real_sentences_through_lm_eval_give_sacrebleus_own_figures(
    name, other, tokenizer, tmp_path
):
    file = REFERENCE / "translation" / f"flores200_en_{other}.jsonl"
    pairs = [json.loads(line) for line in file.read_text("utf-8").strip().split("\n")]
    assert len(pairs) == 100
    codes = {"eng_Latn": "en", LANGUAGES[other].flores: other}
    write_release(tmp_path, {code: [p[key] for p in pairs] for code, key in codes.items()})
    found = evaluate([name], manager(tmp_path), limit=4, gen_kwargs={"max_gen_toks": 24})
    samples = sorted(found["samples"][name], key=lambda sample: sample["doc_id"])
    assert [s["target"] for s in samples] == [
        p["en" if name.endswith("_en") else other].strip() for p in pairs[:4]
    ]
    said = [sample["resps"][0][0] for sample in samples]
    assert all(said)
    hypotheses = [text.strip().split("\n")[0].strip() for text in said]
    references = [[sample["target"] for sample in samples]]
    bleu = sacrebleu.corpus_bleu(hypotheses, references, tokenize=tokenizer).score
    chrf = sacrebleu.corpus_chrf(hypotheses, references, word_order=2).score
    assert found["results"][name]["bleu,none"] == bleu
    assert found["results"][name]["chrf++,none"] == chrf
    signature = found["configs"][name]["metadata"]["sacrebleu"]["bleu"]
    version = sacrebleu.__version__
    assert signature == f"nrefs:1|case:mixed|eff:no|tok:{tokenizer}|smooth:exp|version:{version}"
    json.dumps(found["configs"][name]["metadata"])


@needs_reference
def test_references_score_100_and_the_13a_tokenizer_would_not_see_chinese_words(tmp_path):
    file = REFERENCE / "translation" / "flores200_en_zh.jsonl"
    pairs = [json.loads(line) for line in file.read_text("utf-8").strip().split("\n")]
    write_release(
        tmp_path, {c: [p[k] for p in pairs] for c, k in (("eng_Latn", "en"), ("zho_Hans", "zh"))}
    )
    task = load(tmp_path, "lsn_flores_en_zh")
    references = [doc["target"] for doc in task.eval_docs]
    perfect = Canned(task, references)
    assert perfect.scores == {"bleu": pytest.approx(100), "chrf++": pytest.approx(100)}
    # One character is missing in the middle: a wrong word to 13a, for which a clause is one word.
    cut = [text[: len(text) // 2] + text[len(text) // 2 + 1 :] for text in references]
    ours = Canned(task, cut).scores["bleu"]
    assert ours == sacrebleu.corpus_bleu(cut, [references], tokenize="zh").score
    assert ours > 1.5 * sacrebleu.corpus_bleu(cut, [references], tokenize="13a").score


def test_the_prompt_is_the_published_one(made_up):
    task = load(made_up, "lsn_flores_en_de")
    doc = task.eval_docs[0]
    assert task.fewshot_context(doc, 0) == (
        "Translate an English sentence into a target language.\nEnglish: The cat sleeps.\n"
        "Target Language:"
    )
    settings = task.config.generation_kwargs
    assert settings["until"] == []
    assert settings["max_gen_toks"] == 128
    assert settings["do_sample"] is False
    backwards = load(made_up, "lsn_flores_de_en")
    assert backwards.fewshot_context(backwards.eval_docs[0], 0) == (
        "Translate a German sentence into a target language.\nGerman: Die Katze schläft.\n"
        "Target Language:"
    )


def test_examples_are_the_first_of_dev(made_up):
    task = load(made_up, "lsn_flores_fewshot_de_en")
    assert task.config.num_fewshot == 5
    assert task.config.generation_kwargs["until"] == ["\n"]
    assert task.fewshot_context(task.eval_docs[0], 2) == (
        "German: Niemand kam.\nEnglish: Nobody came.\n\n"
        "German: Brot ist teuer.\nEnglish: Bread is dear.\n\n"
        "German: Die Katze schläft.\nEnglish:"
    )


@pytest.mark.slow
def test_a_few_shot_run_to_a_number(made_up):
    found = evaluate(
        ["lsn_flores_fewshot_en_de"], manager(made_up), limit=2, num_fewshot=3,
        gen_kwargs={"max_gen_toks": 16},
    )  # fmt: skip
    assert 0 <= found["results"]["lsn_flores_fewshot_en_de"]["chrf++,none"] <= 100


def test_any_pair_on_request(made_up):
    task = load(made_up, "lsn_flores_pair", flores_pair="de-th")
    assert (task.eval_docs[0]["source"], task.eval_docs[0]["target"]) == (GERMAN[0], THAI[0])
    assert "tok:char" in task.config.metadata["sacrebleu"]["bleu"]
    by_code = load(made_up, "lsn_flores_pair", flores_pair="deu_Latn-eng_Latn")
    assert by_code.eval_docs[0]["source_language"] == "German"
    (made_up / "flores200_dataset/devtest/yor_Latn.devtest").write_text("a\nb\nc\nd\ne\n", "utf-8")
    named = load(
        made_up, "lsn_flores_pair", flores_pair="en-yor_Latn", flores_names={"yor_Latn": "Yoruba"}
    )
    assert named.eval_docs[4]["target"] == "e"
    assert named.eval_docs[4]["target_language"] == "Yoruba"


@pytest.mark.parametrize(
    ("script", "tokenizer"),
    [("Latn", "13a"), ("Cyrl", "13a"), ("Grek", "13a"), ("Hans", "zh"), ("Jpan", "char"),
     ("Hang", "char"), ("Thai", "char"), ("Arab", "intl"), ("Deva", "intl"), ("Hebr", "intl")],
)  # fmt: skip
def test_tokenizers_by_script_work_offline(script, tokenizer):
    assert flores.tokenizer_for(script) == tokenizer
    assert f"tok:{tokenizer}" in flores.signatures_of(tokenizer)["bleu"]


def test_another_tokenizer_can_be_asked_for_and_shows_in_the_signature(made_up):
    task = load(made_up, "lsn_flores_en_de", bleu_tok="intl")
    assert "tok:intl" in task.config.metadata["sacrebleu"]["bleu"]
    assert "nw:2" in task.config.metadata["sacrebleu"]["chrf++"]
    assert Canned(task, GERMAN).items["bleu"][0][2] == "intl"


@pytest.mark.parametrize(
    ("generated", "scored"),
    [
        (" Die Katze.\nEnglish: next", "Die Katze."),
        ("\n\nDie Katze.", "Die Katze."),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_the_first_line_is_scored(generated, scored):
    assert flores.first_line(generated) == scored


@pytest.mark.parametrize(
    ("name", "metadata", "message"),
    [
        ("lsn_flores_pair", {}, "flores_pair is None; two languages were expected"),
        ("lsn_flores_pair", {"flores_pair": "de"}, "flores_pair is 'de'"),
        ("lsn_flores_pair", {"flores_pair": "en-xx"}, "language 'xx' is not among ar, bg"),
        (
            "lsn_flores_en_fr",
            {},
            "devtest/fra_Latn.devtest or .* does not exist; unpack the FLORES",
        ),
        ("lsn_flores_en_de", {"bleu_tok": "words"}, "sacrebleu .* has none, zh, 13a"),
    ],
)
def test_what_cannot_be_loaded_says_why(made_up, name, metadata, message):
    with pytest.raises(LocalDataError, match=message):
        load(made_up, name, **metadata)


@pytest.mark.slow
def test_files_of_different_releases_are_refused(tmp_path):
    write_release(tmp_path, {"eng_Latn": ENGLISH, "deu_Latn": GERMAN[:4]})
    with pytest.raises(LocalDataError, match="5 sentences and German 4"):
        load(tmp_path, "lsn_flores_en_de")
    path = tmp_path / "flores200_dataset/devtest/deu_Latn.devtest"
    path.write_text("a\nb\n\nd\ne\n", "utf-8")
    with pytest.raises(LocalDataError, match="line 3 is empty"):
        load(tmp_path, "lsn_flores_en_de")
    # Only line feeds end a line of the release.
    path.write_text("a\u2028b\nb\x85\nc\nd\ne\n", "utf-8")
    assert load(tmp_path, "lsn_flores_en_de").eval_docs[0]["target"] == "a\u2028b"


def test_flores_plus_as_json_lines_and_from_the_hub(tmp_path, made_up, monkeypatch):
    rows = {
        "eng_Latn": [{"id": i, "text": text} for i, text in enumerate(ENGLISH)],
        "cmn_Hans": [
            {"id": i, "text": text} for i, text in enumerate(["猫", "雨", "没人", "面包", "歌"])
        ],
    }
    write_files(tmp_path, {
        f"flores_plus/devtest/{code}.jsonl": "\n".join(map(json.dumps, lines))
        for code, lines in rows.items()
    })  # fmt: skip
    task = load(tmp_path, "lsn_flores_en_zh")
    assert (task.eval_docs[4]["source"], task.eval_docs[4]["target"]) == ("We sing.", "歌")

    asked = []

    def load_dataset(name, config, *, split):
        asked.append((name, config, split))
        return rows[config]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    task = load_task("lsn_flores_en_zh")
    assert asked == [
        (flores.DATASET, "eng_Latn", "devtest"),
        (flores.DATASET, "cmn_Hans", "devtest"),
    ]
    assert task.eval_docs[4]["target"] == "歌"

    def refused(*args, **kwargs):
        raise datasets.exceptions.DatasetNotFoundError("gated")

    monkeypatch.setattr(datasets, "load_dataset", refused)
    with pytest.raises(LocalDataError, match="it is gated: accept its terms at .* or run"):
        load_task("lsn_flores_en_zh")


@pytest.mark.slow
def test_groups_average_chrf_over_pairs_and_bleu_over_none(made_up, tmp_path):
    tasks = manager(made_up)
    others = set(LANGUAGES) - {"en"}
    expected = {f"lsn_flores_en_{o}" for o in others} | {f"lsn_flores_{o}_en" for o in others}
    assert expected <= set(tasks.all_subtasks)
    assert {"lsn_flores", "lsn_flores_from_en", "lsn_flores_fewshot_to_en"} <= set(tasks.all_groups)
    assert {"lsn_translation", "lsn_translation_fewshot"} <= set(tasks.all_tags)
    text = (tasks_dir() / "flores" / "lsn_flores_from_en.yaml").read_text("utf-8")
    group = yaml.safe_load(text)
    members = [name for name in group["task"] if name[-2:] in ("de", "th")]
    two = {**group, "group": "two", "task": members}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(two), "utf-8")
    found = evaluate(
        ["two"], manager(made_up, also=[tmp_path]), limit=2, gen_kwargs={"max_gen_toks": 16}
    )
    results = found["results"]
    scores = [results[f"lsn_flores_en_{other}"]["chrf++,none"] for other in ("de", "th")]
    assert scores[0] != scores[1]
    assert results["two"]["chrf++,none"] == pytest.approx(sum(scores) / 2)
    assert "bleu,none" not in results["two"]


@pytest.mark.slow
def test_chosen_lines_are_evaluated_and_named_in_the_version(made_up):
    found = evaluate(
        ["lsn_flores_en_de"], manager(made_up, lines="5,2-3"), gen_kwargs="max_gen_toks=2"
    )
    samples = sorted(found["samples"]["lsn_flores_en_de"], key=lambda sample: sample["doc_id"])
    assert [sample["target"] for sample in samples] == [GERMAN[4], GERMAN[1], GERMAN[2]]
    assert found["versions"]["lsn_flores_en_de"] == "1.0+lines-5,2-3"
    first = load(made_up, "lsn_flores_fewshot_de_en", lines=2)
    assert [doc["source"] for doc in first.eval_docs] == GERMAN[:2]
    assert len(first.dataset["dev"]) == 3  # examples are not chosen from


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (6, "there are lines 1 to 5"), (0, "names 1-0"), ("4-2", "names 4-2"), ("1,1-2", "a line twice"),
        ("a", "100 .the first. or"), ("", "was expected"), ("1,", "was expected"), (True, "was expected"),
    ],
)  # fmt: skip
def test_lines_that_are_not_there_are_refused(made_up, lines, message):
    with pytest.raises(LocalDataError, match=message):
        load(made_up, "lsn_flores_en_de", lines=lines)


def test_iwslt_reads_the_releases_files_of_every_year_or_the_hubs_columns(tmp_path):
    years = {"2010": slice(0, 2), "2015": slice(2, 5)}
    files = {
        f"iwslt2017/en-de/IWSLT17.TED.tst{year}.en-de.{code}.xml": "<mteval><doc>\n<title>T</title>\n"
        + "".join(f'<seg id="{n}"> {text} </seg>\n' for n, text in enumerate(texts[part], start=1))
        for year, part in years.items()
        for code, texts in (("en", ENGLISH), ("de", [*GERMAN[:4], "Q & A"]))
    }
    rows = [
        {"translation": {"th": a, "en": b, "zh": "一"}} for a, b in zip(THAI, ENGLISH, strict=True)
    ]
    files["iwslt2017/en-zh.test.jsonl"] = "\n".join(json.dumps(row) for row in rows)
    root = write_files(tmp_path, files)
    there, back = load(root, "lsn_iwslt_en_de"), load(root, "lsn_iwslt_de_en", lines=1)
    assert [doc["source"] for doc in there.eval_docs] == ENGLISH
    assert [doc["target"] for doc in there.eval_docs] == [*GERMAN[:4], "Q & A"]
    assert [(doc["source"], doc["target"]) for doc in back.eval_docs] == [(GERMAN[0], ENGLISH[0])]
    assert there.fewshot_context(there.eval_docs[1], 0) == (
        "Translate an English sentence into a target language.\nEnglish: It rains in Bonn.\nTarget Language:"
    )
    assert there.config.metadata["sacrebleu"]["bleu"].startswith(
        "nrefs:1|case:mixed|eff:no|tok:13a"
    )
    chinese = load(root, "lsn_iwslt_zh_en")
    assert [doc["target"] for doc in chinese.eval_docs] == ENGLISH
    with pytest.raises(LocalDataError, match="lsn_iwslt_en_fr needs local data.*2017-01"):
        load_task("lsn_iwslt_en_fr")
    with pytest.raises(
        LocalDataError, match=r"en-fr.test.jsonl.* does not exist; IWSLT 2017 is at"
    ):
        load(root, "lsn_iwslt_en_fr")
    with pytest.raises(LocalDataError, match="has no translation|translation"):
        (root / "iwslt2017/en-zh.test.jsonl").write_text('{"en": "one"}')
        load(root, "lsn_iwslt_en_zh")
    (root / "iwslt2017/en-de/IWSLT17.TED.tst2015.en-de.de.xml").unlink()
    with pytest.raises(LocalDataError, match="not the same ones"):
        load(root, "lsn_iwslt_en_de")
