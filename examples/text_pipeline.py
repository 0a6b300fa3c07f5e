"""Sentences of different lengths, padded while they are gathered, for an LSTM that reads each to its own end.

English that ships with Python and NumPy: which of the two a sentence is from. Sentences of like length come together,
so that little of a batch is padding. Needs torch.
"""

import pydoc_data.topics
import re

import numpy as np
import torch
from torch import nn

import fastbatch as fb

LONGEST = 24
N_WORDS = 2000
N_EPOCHS = 3


def sentences_of(text):
    """The sentences of a text, each a list of lower-case words."""
    found = [re.findall(r"[a-z]+", sentence.lower()) for sentence in re.split(r"[.:;]\s", text)]
    return [words[:LONGEST] for words in found if len(words) >= 4][::3]  # a third is enough


def load_sentences():
    """Sentences as arrays of word numbers, and 1 for those from NumPy. 0 is for padding, 1 for rare words."""
    functions = [getattr(np, name) for name in dir(np) if not name.startswith("_")]
    documented = sorted({getattr(function, "__doc__", None) or "" for function in functions})
    texts = "\n".join(pydoc_data.topics.topics.values()), "\n".join(documented)
    sentences, labels = [], []
    for label, text in enumerate(texts):
        found = sentences_of(text)
        sentences += found
        labels += [label] * len(found)
    words, counts = np.unique(np.concatenate(sentences), return_counts=True)
    common = words[np.argsort(-counts, kind="stable")[:N_WORDS]]
    number_of = {word: number for number, word in enumerate(common, start=2)}
    tokens = [np.array([number_of.get(word, 1) for word in sentence], np.int32) for sentence in sentences]
    return tokens, np.array(labels, np.float32)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(N_WORDS + 2, 32, padding_idx=0)
        self.lstm = nn.LSTM(32, 32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, sentences):
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(sentences.values), sentences.lengths, batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.lstm(packed)
        return self.out(last[0])[:, 0]


def main():
    torch.manual_seed(0)
    tokens, labels = load_sentences()
    ragged = fb.Ragged(tokens)
    training, held_out = fb.split(len(labels), [0.8, 0.2], labels=labels.astype(int), seed=0)
    order = fb.Bucketed(ragged.lengths[training], window=1024)
    print(f"{len(labels)} sentences, {labels.mean():.2f} of them from NumPy")
    print(f"padding in batches of like length: {100 * order.padding(0, 0, 64):.1f}%")

    loader = fb.Loader((ragged, labels), 64, sampler=fb.Subset(training, order), seed=0, output="torch")
    test = fb.Loader((ragged, labels), 256, sampler=held_out, output="torch")
    reader = Reader()
    optimizer = torch.optim.Adam(reader.parameters(), lr=0.005)
    for epoch in range(1, N_EPOCHS + 1):
        total = 0.0
        for sentences, targets in loader:
            loss = nn.functional.binary_cross_entropy_with_logits(reader(sentences), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(targets)
        print(f"epoch {epoch}: loss {total / len(training):.4f}")
    with torch.no_grad():
        right = sum(((reader(sentences) > 0) == (targets > 0)).sum().item() for sentences, targets in test)
    print(f"right on {len(held_out)} held-out sentences: {right / len(held_out):.3f}")


if __name__ == "__main__":
    main()
