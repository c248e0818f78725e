"""`lsn_wikippl_*` on small local files: which articles, and every figure by a plain loop."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from builders.our_tasks import load_task, task_manager
from lm_eval import simple_evaluate
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoTokenizer

from lsn_eval import NeuronMask, intervene
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.lm_tasks import wikippl
from lsn_eval.lm_tasks.evaluated_languages import LANGUAGES
from lsn_eval.lm_tasks.local_data import LocalDataError
from lsn_eval.lm_tasks.token_chunks import whole_chunks
from lsn_eval.lm_tasks.token_counts import text_encoder
from lsn_eval.recording.texts import Document, is_held_out
from lsn_eval.storage.shipped import demo_model_dir, tasks_dir

pytestmark = pytest.mark.slow

MODEL = str(demo_model_dir())
CHUNK = 48
OPTIONS = {"device": "cpu", "dtype": "float32", "batch_size": 4}


def demo_texts(language: str) -> list[str]:
    lines = (tasks_dir() / "demo" / "data" / f"{language}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def articles(language: str) -> list[dict[str, str]]:
    """Sixty rows with the Hub's columns, of which some seven are held out; every sixth is a stub."""
    texts = demo_texts(language)
    rows = []
    for number in range(60):
        text = " ".join(texts[(number + step) % len(texts)] for step in range(20))
        text = text[:20] if number % 6 == 0 else text[: 500 + 7 * number]
        rows.append({"id": str(number), "url": "", "title": "", "text": text})
    return rows


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "wikipedia").mkdir()
    for language in ("de", "zh"):
        lines = [json.dumps(row, ensure_ascii=False) for row in articles(language)]
        (folder / "wikipedia" / f"{language}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def with_bos(tmp_path_factory) -> str:
    """The embedded model with a tokenizer that puts BOS before every text, as Llama's does."""
    folder = tmp_path_factory.mktemp("with_bos")
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    tokenizer.add_special_tokens({"bos_token": "<|endoftext|>"})
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", tokenizer.eos_token_id)]
    )
    tokenizer.save_pretrained(folder)
    AutoModelForCausalLM.from_pretrained(MODEL).save_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).encode("a")[0] == tokenizer.eos_token_id
    return str(folder)


def evaluate(lm, tasks: list[str], metadata: dict, **options) -> dict:
    manager = task_manager("wikippl", **metadata)
    return simple_evaluate(lm, tasks=tasks, task_manager=manager, bootstrap_iters=0, **options)


def chosen_texts(root: Path, language: str) -> list[str]:
    return [document.text for document in wikippl.chosen(wikippl.local_articles(root, language))]


def plain(name: str):
    """Model and tokenizer, without lm-eval."""
    model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(name)


def log_probabilities(model, ids: list[int]) -> torch.Tensor:
    """Of every token but the first, given those before it."""
    with torch.no_grad():
        scores = model(torch.tensor([ids])).logits[0, :-1].float().log_softmax(-1)
    return scores.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def plain_rolling(model, tokenizer, text: str, context: int) -> float:
    """Every token once: full windows, and a last one filled up with tokens before it."""
    prefix = tokenizer.eos_token_id
    ids = tokenizer.encode(text)
    total = 0.0
    for start in range(0, len(ids), context):
        end = min(start + context, len(ids))
        first = start if end - start == context or start == 0 else end - context
        window = ([prefix] if first == 0 else [ids[first - 1]]) + ids[first:end]
        total += log_probabilities(model, window)[start - end :].sum().item()
    return total


def plain_published(model, tokenizer, text: str, length: int) -> float:
    """Tang et al. (2024): chunks of the encoded text, mean of their means, then exp."""
    ids = tokenizer.encode(text)
    means = []
    for start in range(0, len(ids) - len(ids) % length, length):
        means.append(-log_probabilities(model, ids[start : start + length]).mean().item())
    return math.exp(sum(means) / len(means))


def test_every_language_of_the_papers_of_xnli_and_of_xquad_has_its_two_tasks():
    wanted = "ar bg cs da de el en es fa fi fr hi hu id it ja ko nl no pl pt ro ru sv sw th tr uk ur vi zh"
    assert set(wanted.split()) <= set(LANGUAGES)
    manager = task_manager("wikippl")
    for family in ("lsn_wikippl", "lsn_wikippl_papers"):
        assert family in manager.all_groups
        assert {f"{family}_{language}" for language in LANGUAGES} <= set(manager.all_subtasks)
    assert {"lsn_perplexity", "lsn_perplexity_papers"} <= set(manager.all_tags)


def test_articles_are_those_that_recording_leaves_out_in_a_fixed_order(root):
    chosen = wikippl.chosen(wikippl.local_articles(root, "de"))
    rows = {row["id"]: row["text"] for row in articles("de")}
    expected = {i for i in rows if is_held_out(i) and len(rows[i]) >= wikippl.SHORTEST}
    assert {document.identity for document in chosen} == expected
    assert len(expected) >= 3
    assert [d.identity for d in chosen] != sorted(expected, key=int)
    backwards = wikippl.chosen([Document(rows[i], i) for i in reversed(rows)])
    assert backwards == chosen


def test_number_and_length_are_bounded(monkeypatch):
    monkeypatch.setattr(wikippl, "DOCUMENTS", 5)
    long = [Document(f"{n} " + "word " * 2000, str(n)) for n in range(300)]
    chosen = wikippl.chosen(long)
    assert len(chosen) == 5
    assert {len(document.text) for document in chosen} <= set(range(3990, 4001))
    assert all(document.text.endswith("word") for document in chosen)
    assert wikippl.shortened("字" * 5000) == "字" * 4000
    monkeypatch.setattr(wikippl, "POOL", 40)
    assert {int(d.identity) for d in wikippl.chosen(long)} <= set(range(40))


def test_the_hub_is_streamed_and_gives_what_its_files_give(root, monkeypatch):
    import datasets

    asked = []

    def load_dataset(name, config, *, split, streaming):
        asked.append((name, config, split, streaming))
        return datasets.Dataset.from_list(articles("zh")).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    streamed = wikippl.chosen(wikippl.hub_articles("zh"))
    assert asked == [("wikimedia/wikipedia", "20231101.zh", "train", True)]
    assert streamed == wikippl.chosen(wikippl.local_articles(root, "zh"))


def test_the_dumps_own_parquet_files_are_read(root, tmp_path):
    import pyarrow
    import pyarrow.parquet

    folder = tmp_path / "wikipedia" / "20231101.de"
    folder.mkdir(parents=True)
    rows = articles("de")
    for part in (0, 1):
        table = pyarrow.Table.from_pylist(rows[part * 30 : part * 30 + 30])
        pyarrow.parquet.write_table(table, folder / f"train-0000{part}-of-00002.parquet")
    found = wikippl.chosen(wikippl.local_articles(tmp_path, "de"))
    assert found == wikippl.chosen(wikippl.local_articles(root, "de"))


def test_rolling_figures_equal_a_plain_loop_and_upstreams_metric(root):
    lm = LsnHF("lsn_demo", condition=None, **OPTIONS)
    metadata = {"data_root": str(root), "pretrained": "lsn_demo"}
    results = evaluate(lm, ["lsn_wikippl_de", "lsn_wikippl_zh"], metadata)["results"]
    model, tokenizer = plain(MODEL)
    for language in ("de", "zh"):
        texts = chosen_texts(root, language)
        own = results[f"lsn_wikippl_{language}"]
        total = sum(plain_rolling(model, tokenizer, text, 256) for text in texts)
        tokens = sum(len(tokenizer.encode(text)) for text in texts)
        assert own["token_perplexity,none"] == pytest.approx(math.exp(-total / tokens), rel=1e-5)
        characters = sum(map(len, texts))
        assert own["character_perplexity,none"] == pytest.approx(
            math.exp(-total / characters), rel=1e-5
        )
    # Upstream's own class and metrics, on the same articles.
    path = root / "upstream.jsonl"
    lines = [json.dumps({"page": text}) for text in texts]
    path.write_text("\n".join(lines), "utf-8")
    upstream = {
        "task": "upstream",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}},
        "output_type": "loglikelihood_rolling",
        "test_split": "test",
        "doc_to_text": "",
        "doc_to_target": "{{page}}",
        "metric_list": [{"metric": "byte_perplexity"}, {"metric": "bits_per_byte"}],
    }
    theirs = simple_evaluate(
        lm, tasks=[ConfigurableTask(config=upstream)], task_manager=task_manager("wikippl"),
        bootstrap_iters=0,
    )  # fmt: skip
    for metric in ("byte_perplexity,none", "bits_per_byte,none"):
        assert own[metric] == theirs["results"]["upstream"][metric]


def test_a_bos_that_the_tokenizer_adds_is_scored_and_counted(root, with_bos):
    lm = HFLM(with_bos, **OPTIONS)
    metadata = {"data_root": str(root), "pretrained": with_bos}
    result = evaluate(lm, ["lsn_wikippl_de"], metadata)["results"]["lsn_wikippl_de"]
    model, tokenizer = plain(with_bos)
    texts = chosen_texts(root, "de")
    total = sum(plain_rolling(model, tokenizer, text, 256) for text in texts)
    tokens = sum(len(tokenizer.encode(text)) for text in texts)
    assert tokens == sum(len(tokenizer.tokenize(text)) + 1 for text in texts)
    assert result["token_perplexity,none"] == pytest.approx(math.exp(-total / tokens), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "Kaffee"),
        ({"add_bos_token": False}, "Kaffee"),
        ({"add_bos_token": True}, "Kaffee"),
        ({}, "<|endoftext|>Kaffee"),
        ({"use_fast_tokenizer": True, "revision": "main"}, "咖啡"),
    ],
)
def test_tokens_are_those_of_hf(with_bos, arguments, text):
    lm = HFLM(with_bos, **OPTIONS, **arguments)
    encode = text_encoder({"pretrained": with_bos, **arguments})
    assert encode(text) == lm.tok_encode(text)


def test_without_a_tokenizer_there_are_characters_and_bytes(root, monkeypatch):
    metadata = {"data_root": str(root)}
    results = evaluate("dummy", ["lsn_wikippl_de"], metadata)["results"]["lsn_wikippl_de"]
    assert "token_perplexity,none" not in results
    assert results["character_perplexity,none"] > 0
    assert text_encoder({"pretrained": "/there/is/none"}) is None


@pytest.mark.parametrize("condition", ["none", "de:zero"])
def test_the_papers_perplexity_is_the_published_algorithm(root, condition):
    lm = LsnHF("lsn_demo", mask="demo/planted", condition=condition, **OPTIONS)
    metadata = {"data_root": str(root), "pretrained": "lsn_demo", "chunk_length": CHUNK}
    names = ["lsn_wikippl_papers_de", "lsn_wikippl_papers_zh"]
    found = evaluate(lm, names, metadata)
    model, tokenizer = plain(MODEL)
    expected = {}
    mask = NeuronMask.load("demo/planted")
    with intervene(model, mask, condition):
        for language in ("de", "zh"):
            texts = chosen_texts(root, language)
            expected[language] = plain_published(model, tokenizer, "\n\n".join(texts), CHUNK)
    for language in ("de", "zh"):
        name = f"lsn_wikippl_papers_{language}"
        assert found["results"][name]["chunk_perplexity,none"] == pytest.approx(
            expected[language], rel=1e-5
        )
    chunks = len(tokenizer.encode("\n\n".join(texts))) // CHUNK
    assert found["n-samples"]["lsn_wikippl_papers_zh"]["original"] == chunks > 3
    if condition != "none":
        overwritten = found["config"]["lsn"]["seen"]["hookpoints"]["mlp.act"]["values_overwritten"]
        assert overwritten > 0


def test_the_papers_perplexity_with_a_bos_and_plain_hf(root, with_bos):
    metadata = {"data_root": str(root), "pretrained": with_bos, "chunk_length": CHUNK}
    found = evaluate(HFLM(with_bos, **OPTIONS), ["lsn_wikippl_papers_de"], metadata)
    model, tokenizer = plain(with_bos)
    texts = chosen_texts(root, "de")
    # BOS once, at the start of the whole text.
    assert tokenizer.encode("\n\n".join(texts)).count(tokenizer.bos_token_id) == 1
    own = found["results"]["lsn_wikippl_papers_de"]["chunk_perplexity,none"]
    expected = plain_published(model, tokenizer, "\n\n".join(texts), CHUNK)
    assert own == pytest.approx(expected, rel=1e-5)


def test_the_response_cache_neither_breaks_nor_answers_chunks(root, tmp_path):
    metadata = {"data_root": str(root), "pretrained": "lsn_demo", "chunk_length": CHUNK}
    numbers = []
    for condition in ("none", "de:zero", "none"):
        lm = LsnHF("lsn_demo", mask="demo/planted", condition=condition, **OPTIONS)
        found = evaluate(
            lm, ["lsn_wikippl_papers_de"], metadata, use_cache=str(tmp_path / "cache"), limit=4
        )
        numbers.append(found["results"]["lsn_wikippl_papers_de"]["chunk_perplexity,none"])
    assert numbers[0] == numbers[2] != numbers[1]


def test_chunks_drop_the_remainder():
    assert whole_chunks(range(10), 4) == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert whole_chunks(range(8), 4) == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert whole_chunks(range(3), 4) == []


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "name none; use a model with pretrained=NAME"),
        ({"pretrained": "lsn_demo", "chunk_length": 1}, "from 2 on was meant"),
        ({"pretrained": "lsn_demo", "chunk_length": "48"}, "from 2 on was meant"),
        ({"pretrained": "lsn_demo", "chunk_length": 300}, "takes 256 tokens at once"),
        (
            {"pretrained": "lsn_demo", "max_length": 90000, "chunk_length": 90000},
            "less than one chunk of 90000",
        ),
    ],
)
def test_chunks_that_cannot_be_made(root, metadata, message):
    with pytest.raises(LocalDataError, match=message):
        evaluate("dummy", ["lsn_wikippl_papers_de"], {"data_root": str(root), **metadata})


def test_the_context_of_the_model_is_the_default_chunk(root):
    task = load_task("lsn_wikippl_papers_de", data_root=str(root), pretrained="lsn_demo")
    assert {len(doc["tokens"]) for doc in task.eval_docs} == {256}


def test_a_missing_file_is_named_with_where_to_get_it(root):
    with pytest.raises(LocalDataError, match="wikipedia/fr.jsonl does not exist; lay the dump"):
        evaluate("dummy", ["lsn_wikippl_fr"], {"data_root": str(root)})


def test_text_of_which_nothing_is_held_out_is_an_error(root):
    (root / "wikipedia" / "it.jsonl").write_text('{"id": "1", "text": "breve"}\n', "utf-8")
    with pytest.raises(LocalDataError, match="none of the it articles is held out"):
        evaluate("dummy", ["lsn_wikippl_it"], {"data_root": str(root)})
