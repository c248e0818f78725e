"""`lsn_confusion_*` through lm_eval: prompts of the release, pass rates of what was generated."""

from __future__ import annotations

import lm_eval
import pytest
from builders.our_tasks import load_task, task_manager, write_files

from lsn_eval.language_scores.confusion import confusion
from lsn_eval.lm_tasks.local_data import LocalDataError
from lsn_eval.storage.shipped import demo_model_dir

DEMO = {"pretrained": str(demo_model_dir()), "device": "cpu"}
PROMPTS = ["Wie wird das Wetter?", 'Zwei\nZeilen, mit "Komma".', "Warum?"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """As `scripts/fetch_data.py` lays it out."""
    monkeypatch.delenv("LSN_EVAL_DATA", raising=False)
    rows = "".join('"{}",okapi,de\n'.format(prompt.replace('"', '""')) for prompt in PROMPTS)
    table = f"prompt,source,language\n{rows}"
    return write_files(
        tmp_path,
        {
            "test_sets/monolingual/okapi/de.csv": table,
            "test_sets/monolingual/dolly/ru.csv": table,
            "language_confusion/words": "weather\nwith\n",
        },
    )


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 3])
def test_pass_rates_are_those_of_the_logged_answers(root, batch_size):
    manager = task_manager("confusion", data_root=str(root), **DEMO)
    found = lm_eval.simple_evaluate(
        model="lsn_hf", tasks=["lsn_confusion_okapi_de", "lsn_confusion_dolly_ru"],
        model_args=f"pretrained=lsn_demo,device=cpu,mask=demo/planted,condition=de:zero,batch_size={batch_size}",
        task_manager=manager, bootstrap_iters=0, gen_kwargs="max_gen_toks=24",
    )  # fmt: skip
    answers = {}
    for name, language in (("lsn_confusion_okapi_de", "de"), ("lsn_confusion_dolly_ru", "ru")):
        logged = sorted(found["samples"][name], key=lambda sample: sample["doc_id"])
        assert [sample["doc"]["prompt"] for sample in logged] == PROMPTS
        answers[name] = [sample["resps"][0][0] for sample in logged]
        ones = [
            confusion(text, language, words=root / "language_confusion/words")
            for text in answers[name]
        ]
        numbers = found["results"][name]
        for metric, pairs in {
            "line_pass_rate": [one.line_pass for one in ones],
            "word_pass_rate": [one.word_pass for one in ones if one.word_pass is not None],
        }.items():
            count = sum(of for _, of in pairs)
            expected = sum(passed for passed, _ in pairs) / count if count else 0.0
            if pairs:
                assert numbers[f"{metric},none"] == pytest.approx(expected)
        assert ("word_pass_rate,none" in numbers) == (language == "ru")
        assert numbers["with_lines,none"] == pytest.approx(sum(one.lines > 0 for one in ones) / 3)
        assert numbers["mean_length,none"] == pytest.approx(sum(map(len, answers[name])) / 3)
    # Sampled, each prompt with its own seed: two that begin alike do not share their draws.
    assert len(set(answers["lsn_confusion_okapi_de"])) == 3


def test_what_is_missing_is_said_before_anything_is_generated(root):
    with pytest.raises(LocalDataError, match="fetch_data.py --data-root DIR language_confusion"):
        load_task("lsn_confusion_aya_tr", data_root=str(root))
    with pytest.raises(LocalDataError, match="lsn_confusion_okapi_de needs local data.*fetch_data"):
        load_task("lsn_confusion_okapi_de")
    (root / "language_confusion/words").unlink()
    with pytest.raises(LocalDataError, match="language_confusion/words does not exist"):
        load_task("lsn_confusion_dolly_ru", data_root=str(root))
    (root / "test_sets/monolingual/okapi/de.csv").write_text("text\nWarum?\n")
    with pytest.raises(LocalDataError, match="has no column prompt; run: python"):
        load_task("lsn_confusion_okapi_de", data_root=str(root))
