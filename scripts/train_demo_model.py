"""Train the embedded demo model: a tiny Llama with planted language neurons, so a known answer.

    python scripts/train_demo_model.py --out lsn_eval/data/demo_model --data-out tasks/demo/data

Needs ``pip install "lsn-eval[train]"``. Runs on one CPU thread, seeded, in a few minutes; running
it again with the same package versions writes the same files. Writes the model in bfloat16, its
tokenizer, ``planted.json`` (the answer) and ``figures.json`` (what was measured on the files just
written). ``--evaluate-only`` measures a model that is already there.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import time
from itertools import islice
from pathlib import Path
from typing import Any

# Before torch and tokenizers start their threads: one thread makes sums, so files, repeatable.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
import transformers
from demo_corpus import (
    LANGUAGES,
    held_out_documents,
    recording_documents,
    training_documents,
)
from demo_measures import (
    firing_probability,
    lape,
    measure_changes,
    print_figures,
    recovery,
)
from demo_planting import (
    Planted,
    PlantingConfig,
    draw_keep,
    draw_planted,
    planted_mask,
    planting_loss,
    tap_gates,
)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from tqdm import tqdm
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

ROOT = Path(__file__).resolve().parent.parent
END_OF_TEXT = "<|endoftext|>"
VOCABULARY = 1024
POSITIONS = 256
LAYERS = 4
HIDDEN = 128
WIDTH = 512
HEADS = 4
SEED = 1234
STEPS = 600
LEARNING_RATE = 4e-3
WARM_UP = 40
"""Steps in which the learning rate rises; after them it falls to a twentieth along a cosine."""
TOKENIZER_DOCUMENTS = 1500
"""Training documents per language that the tokenizer is learned from."""
RECORDING_DOCUMENTS = 200
"""Recording documents per language for the LAPE check."""


def train_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE over equal shares of the six languages; adds no token to a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = (
        document.text
        for language in LANGUAGES
        for document in islice(training_documents(language, seed), TOKENIZER_DOCUMENTS)
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )


def training_rows(tokenizer: PreTrainedTokenizerFast, rows: int, seed: int) -> Tensor:
    """Token ids ``[row, language, position]``: documents of one language, each after its prefix.

    A row begins with a document, as a scored text does; what does not fit a row is cut off.
    """
    end = tokenizer.eos_token_id
    packed = torch.empty(rows, len(LANGUAGES), POSITIONS, dtype=torch.long)
    for rank, language in enumerate(tqdm(LANGUAGES, desc="writing text", unit="language")):
        texts = training_documents(language, seed)
        for row in range(rows):
            ids: list[int] = []
            while len(ids) < POSITIONS:
                ids += [end, *tokenizer(next(texts).text)["input_ids"]]
            packed[row, rank] = torch.tensor(ids[:POSITIONS])
    return packed


def learning_rate(step: int, steps: int) -> float:
    """A linear warm-up, then a cosine down to a twentieth."""
    if step < WARM_UP:
        return LEARNING_RATE * (step + 1) / WARM_UP
    progress = (step - WARM_UP) / max(steps - WARM_UP, 1)
    return LEARNING_RATE * (0.525 + 0.475 * math.cos(math.pi * progress))


def train(
    tokenizer: PreTrainedTokenizerFast,
    planted: Planted,
    planting: PlantingConfig,
    steps: int,
    seed: int,
) -> LlamaForCausalLM:
    """Language modelling plus the planting loss, one row per language and step."""
    end = tokenizer.eos_token_id
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=HIDDEN,
            intermediate_size=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            max_position_embeddings=POSITIONS,
            bos_token_id=None,
            eos_token_id=end,
            # No pad_token_id: it would freeze that token's embedding at zero, and the tokenizer's
            # padding token is the end of text, which the model must know.
            tie_word_embeddings=False,
        )
    )
    generator = torch.Generator().manual_seed(seed)
    mask = planted_mask(planted, LAYERS, WIDTH)
    batches = training_rows(tokenizer, steps, seed)
    languages = torch.arange(len(LANGUAGES))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.05
    )
    model.train()
    with tap_gates(model) as tap:
        for step in (bar := tqdm(range(steps), desc="training", unit="step")):
            optimizer.param_groups[0]["lr"] = learning_rate(step, steps)
            ids = batches[step]
            tap.gates.clear()
            tap.keep = draw_keep(languages, mask, planting, generator)
            modelling = model(input_ids=ids, labels=ids).loss
            planting_term = planting_loss(tap.gates, languages, ids != end, mask, planting)
            optimizer.zero_grad()
            (modelling + planting_term).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % 10 == 0:
                bar.set_postfix(lm=f"{modelling.item():.3f}", plant=f"{planting_term.item():.3f}")
    return model.eval()


def save(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    planted: Planted,
    out: Path,
    seed: int,
    steps: int,
) -> None:
    """Write the model in bfloat16, the tokenizer and ``planted.json`` to ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    model.bfloat16().save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    # Written by hand: save_pretrained names a class here that older transformers do not have.
    write_json(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END_OF_TEXT,
            "pad_token": END_OF_TEXT,
            "model_max_length": POSITIONS,
            "clean_up_tokenization_spaces": False,
        },
    )
    answer = {
        "hookpoint": "mlp.act",
        "layers": LAYERS,
        "width": WIDTH,
        "languages": planted,
        "seed": seed,
        "steps": steps,
    }
    # One line a layer: readable, and a diff shows which layer changed.
    text = json.dumps(answer, indent=2)
    text = re.sub(r"\[\s+(\d[\d,\s]*\d)\s+\]", lambda m: "[" + " ".join(m[1].split()) + "]", text)
    (out / "planted.json").write_text(text + "\n", encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Write ``content`` as indented JSON in UTF-8."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_held_out(folder: Path) -> None:
    """Write the evaluation documents, one JSON lines file a language."""
    folder.mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        lines = (
            json.dumps({"id": document.id, "text": document.text}, ensure_ascii=False)
            for document in held_out_documents(language)
        )
        (folder / f"{language}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure(out: Path, seed: int) -> dict[str, Any]:
    """Measure the saved model, loaded as float32 and as bfloat16.

    Raises:
        FileNotFoundError: ``out`` holds no trained model.
    """
    if not (out / "planted.json").is_file():
        raise FileNotFoundError(f"no planted.json in {out}: train first, without --evaluate-only")
    answer = json.loads((out / "planted.json").read_text(encoding="utf-8"))
    planted = answer["languages"]
    tokenizer = AutoTokenizer.from_pretrained(out)
    held_out = {
        language: [document.text for document in held_out_documents(language)]
        for language in planted
    }
    recording = {
        language: [doc.text for doc in recording_documents(language, RECORDING_DOCUMENTS, seed)]
        for language in planted
    }
    truth = planted_mask(planted, answer["layers"], answer["width"])
    rate = truth.any(0).float().mean().item()
    figures: dict[str, Any] = {
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "held_out_documents": {language: len(texts) for language, texts in held_out.items()},
        "lape_rate": rate,
    }
    for dtype in (torch.float32, torch.bfloat16):
        model = AutoModelForCausalLM.from_pretrained(out, dtype=dtype).eval()
        measured = measure_changes(model, tokenizer, planted, held_out)
        if dtype == torch.float32:
            found = lape(firing_probability(model, tokenizer, recording), rate)
            figures["lape"] = recovery(found, truth, list(planted))
        figures[str(dtype).removeprefix("torch.")] = measured
    return figures


def main() -> None:
    """Read the command line, train unless told not to, measure, print and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "lsn_eval" / "data" / "demo_model")
    parser.add_argument("--data-out", type=Path, default=ROOT / "tasks" / "demo" / "data")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--evaluate-only", action="store_true", help="measure the model in --out")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if not arguments.evaluate_only:
        started = time.process_time()
        planting = PlantingConfig()
        planted = draw_planted(LANGUAGES, LAYERS, WIDTH, planting.per_layer, arguments.seed)
        tokenizer = train_tokenizer(arguments.seed)
        model = train(tokenizer, planted, planting, arguments.steps, arguments.seed)
        save(model, tokenizer, planted, arguments.out, arguments.seed, arguments.steps)
        write_held_out(arguments.data_out)
        print(f"trained in {time.process_time() - started:.0f} s of processor time")
    figures = measure(arguments.out, arguments.seed)
    write_json(arguments.out / "figures.json", figures)
    print_figures(figures)


if __name__ == "__main__":
    main()
