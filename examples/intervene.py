"""Interventions on the embedded model, in Python: `python examples/intervene.py`."""

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lsn_eval import NeuronMask, intervene
from lsn_eval.storage.shipped import demo_model_dir


def main() -> None:
    """The same German text scored, and continued, under three conditions."""
    model = AutoModelForCausalLM.from_pretrained(demo_model_dir(), dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(demo_model_dir())
    mask = NeuronMask.load("demo/planted")
    text = "Berlin ist eine Stadt in Deutschland."
    ids = tokenizer(f"{tokenizer.eos_token}{text}", return_tensors="pt").input_ids
    for condition in ("none", "de:zero", "random1-de:zero", "de:zero/nl:p90"):
        with intervene(model, mask, condition) as report, torch.no_grad():
            loss = model(ids, labels=ids).loss
            written = model.generate(ids, max_new_tokens=30, do_sample=False)
        continued = tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)
        print(f"{condition}: perplexity {loss.exp():.2f}, {report.changed} values changed")
        print(f"    ...{continued}")


if __name__ == "__main__":
    main()
