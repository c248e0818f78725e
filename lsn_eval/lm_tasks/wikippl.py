"""`lsn_wikippl_{lang}` and `lsn_wikippl_papers_{lang}`: perplexity of held-out Wikipedia articles.

Which articles: of the first `POOL` of a language's dump, those that `texts.is_held_out` keeps from
recording and that are no stubs, in the order of a seeded hash of their number, the first
`DOCUMENTS`, each cut to `LONGEST` characters. Nothing in that depends on the model or the
condition, so that every run sees the same text.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.instance import Instance

from lsn_eval.errors import RecordingError
from lsn_eval.lm_tasks.local_data import LocalDataError, local_file
from lsn_eval.lm_tasks.token_chunks import REQUEST_TYPE, TokenChunk, whole_chunks
from lsn_eval.lm_tasks.token_counts import (
    CountedTexts,
    context_length,
    model_tokenizer,
    text_encoder,
)
from lsn_eval.recording.texts import DatasetTexts, Document, TextFiles, is_held_out

log = logging.getLogger(__name__)

DATASET = "wikimedia/wikipedia:20231101.{lang}"
POOL = 5_000
"""Articles looked at, in the dump's order: a tenth of them is held out."""
DOCUMENTS = 100
SHORTEST = 500
"""Characters. Shorter articles are mostly stubs made from templates."""
LONGEST = 4_000
"""Characters: some 1,000 tokens of English, so that no article outweighs the others."""
SEED = 20231101
LONGEST_CHUNK = 4_096
"""Tokens. Long-context models would otherwise get chunks longer than the whole text; 4096 is the
context of Llama 2, with which Tang et al. (2024) measured."""


class WikiPerplexity(CountedTexts):
    """Rolling log-likelihood of the articles: every token is scored."""

    def local(self, root: Path, **settings: Any) -> dict[str, datasets.Dataset]:
        """Articles of `wikipedia/{lang}.jsonl`, or of the dump's parquet files."""
        return self._splits(local_articles(root, settings["language"]), settings["language"])

    def hub(self, **settings: Any) -> dict[str, datasets.Dataset]:
        """Articles of `wikimedia/wikipedia`, streamed."""
        return self._splits(hub_articles(settings["language"]), settings["language"])

    def _splits(self, articles: Iterable[Document], language: str) -> dict[str, datasets.Dataset]:
        try:
            documents = chosen(articles)
        except RecordingError as error:
            raise LocalDataError(
                f"{error}; or lay the articles into wikipedia/{language}.jsonl of the data folder "
                f"(scripts/fetch_data.py wikipedia --languages {language})"
            ) from error
        if not documents:
            raise LocalDataError(
                f"none of the {language} articles is held out and {SHORTEST} characters long; one "
                "in ten is held out, so give more of them"
            )
        if len(documents) < DOCUMENTS:
            log.warning(
                "%s: %d held-out articles, where %d were meant: numbers are comparable to those "
                "from the same file alone", language, len(documents), DOCUMENTS,
            )  # fmt: skip
        return self.splits(documents)


class WikiChunkPerplexity(WikiPerplexity):
    """Perplexity as Tang et al. (2024) compute it, from chunks of tokens.

    The articles, joined by empty lines, are encoded once and cut into chunks of the model's
    context; the remainder is dropped, and the first token of a chunk is not scored.
    """

    def rows(self, documents: Sequence[Document]) -> list[dict[str, Any]]:
        """One row a chunk; one without tokens where the tokenizer is not known."""
        text = "\n\n".join(document.text for document in documents)
        encode = text_encoder(self.model_arguments)
        if encode is None:
            return [{"id": "0", "text": text, "tokens": []}]
        length = self._chunk_length()
        tokens = encode(text)
        chunks = whole_chunks(tokens, length)
        if not chunks:
            raise LocalDataError(
                f"the text has {len(tokens)} tokens, less than one chunk of {length}; give "
                "--metadata '{\"chunk_length\": N}' with a smaller N"
            )
        decode = model_tokenizer(self.model_arguments).decode
        return [
            {"id": str(number), "text": decode(list(chunk)), "tokens": list(chunk)}
            for number, chunk in enumerate(chunks)
        ]

    def _chunk_length(self) -> int:
        given = self.metadata.get("chunk_length")
        if given is None:
            return min(context_length(self.model_arguments), LONGEST_CHUNK)
        if isinstance(given, bool) or not isinstance(given, int) or given < 2:
            raise LocalDataError(
                f"chunk_length is {given!r}; a number of tokens from 2 on was meant"
            )
        arguments = self.model_arguments
        known = arguments.get("max_length") or arguments.get("pretrained")
        if known and given > (longest := context_length(self.model_arguments)):
            raise LocalDataError(
                f"chunk_length is {given}, but the model takes {longest} tokens at once; give that "
                "or less, or raise max_length among the model arguments"
            )
        return given

    def construct_requests(
        self, doc: dict[str, Any], ctx: str | list[str], **kwargs: Any
    ) -> list[Instance] | Instance:
        """One chunk of tokens, handed to the model as it is."""
        if not doc["tokens"]:
            raise LocalDataError(
                f"{self.task_name} needs the model's tokenizer, and the model arguments name none; "
                "use a model with pretrained=NAME (hf, lsn_hf, vllm), or name it with "
                '--metadata \'{"tokenizer": "NAME", "chunk_length": N}\''
            )
        return TokenChunk(
            request_type=REQUEST_TYPE,
            doc=doc,
            arguments=(doc["text"],),
            idx=0,
            metadata=kwargs["metadata"],
            tokens=tuple(doc["tokens"]),
        )


def local_articles(root: Path, language: str) -> Iterable[Document]:
    """Articles on this machine, in the order of the file or of the dump's files."""
    dump = f"wikipedia/20231101.{language}"
    if (root / dump).is_dir():
        return TextFiles(str(root / dump))
    found = local_file(
        root,
        [f"wikipedia/{language}.jsonl"],
        f"lay the dump's parquet files into {root / dump} (huggingface.co/datasets/wikimedia/"
        f"wikipedia), or run: python scripts/fetch_data.py wikipedia --languages {language}",
    )
    return TextFiles(str(found))


def hub_articles(language: str) -> Iterable[Document]:
    """Articles of the Hub's dump, streamed in its order."""
    return DatasetTexts(DATASET, language)


def held_out(articles: Iterable[Document]) -> Iterator[Document]:
    """Of the first `POOL` articles, those that recording leaves out."""
    return (article for article in islice(articles, POOL) if is_held_out(article.identity))


def chosen(articles: Iterable[Document]) -> list[Document]:
    """The articles that are evaluated, cut to their length."""
    long = [article for article in held_out(articles) if len(article.text) >= SHORTEST]
    long.sort(key=lambda article: hashlib.sha256(f"{SEED}:{article.identity}".encode()).digest())
    return [Document(shortened(article.text), article.identity) for article in long[:DOCUMENTS]]


def shortened(text: str) -> str:
    """The start of `text`, at most `LONGEST` characters, ended at a space if one is near."""
    if len(text) <= LONGEST:
        return text
    start = text[:LONGEST]
    kept = start.rsplit(None, 1)[0]
    return kept if len(kept) > LONGEST - 100 else start


def process_results(doc: dict[str, Any], results: list[float]) -> dict[str, tuple[float, int]]:
    """Log-likelihood of an article with what it is divided by."""
    (loglikelihood,) = results
    bytes_ = len(doc["text"].encode())
    scored = {
        "bits_per_byte": (loglikelihood, bytes_),
        "byte_perplexity": (loglikelihood, bytes_),
        "character_perplexity": (loglikelihood, len(doc["text"])),
    }
    if doc["tokens"]:
        scored["token_perplexity"] = (loglikelihood, doc["tokens"])
    return scored


def process_chunk(doc: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
    """Mean log-likelihood of a chunk's tokens but the first; `perplexity` aggregates it."""
    ((loglikelihood, _),) = results
    return {"chunk_perplexity": loglikelihood / (len(doc["tokens"]) - 1)}
