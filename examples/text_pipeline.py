"""Sentences of different lengths, padded while they are gathered: which of two texts is a sentence from?

English that ships with Python and NumPy. An LSTM reads each sentence to its own end, by the lengths of a batch;
sentences of like length come together, so that little is padding. Attention reads the first words of each, padded or
cut to one width, by the mask. Needs torch.
"""

import pydoc_data.topics
import re

import numpy as np
import torch
from torch import nn

import fastbatch as fb

FIRST = 16
N_WORDS = 2000
N_EPOCHS = 3


def sentences_of(text):
    """The sentences of a text, each a list of lower-case words."""
    found = [re.findall(r"[a-z]+", sentence.lower()) for sentence in re.split(r"[.:;]\s", text)]
    return [words for words in found if 4 <= len(words) <= 64][::3]  # a third is enough


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


class Recurrent(nn.Module):
    """The state of an LSTM behind the last word of each sentence, wherever that is."""

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


class Attentive(nn.Module):
    """A mean of the words of each sentence, by weights that are learned, and 0 where there is no word."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(N_WORDS + 2, 32, padding_idx=0)
        self.weight = nn.Linear(32, 1)
        self.out = nn.Linear(32, 1)

    def forward(self, sentences):
        words = self.embedding(sentences.values)
        weights = self.weight(words).masked_fill(~sentences.mask[:, :, None], -torch.inf).softmax(dim=1)
        return self.out((weights * words).sum(dim=1))[:, 0]


def train(reader, loader, test):
    """Print the loss of each epoch, and how many sentences that were held out are recognised."""
    optimizer = torch.optim.Adam(reader.parameters(), lr=0.005)
    for epoch in range(1, N_EPOCHS + 1):
        total, n_rows = 0.0, 0
        for sentences, targets in loader:
            loss = nn.functional.binary_cross_entropy_with_logits(reader(sentences), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(targets)
            n_rows += len(targets)
        print(f"epoch {epoch}: loss {total / n_rows:.4f}")
    with torch.no_grad():
        right = torch.cat([(reader(sentences) > 0) == (targets > 0) for sentences, targets in test])
    print(f"right on {len(right)} held-out sentences: {right.float().mean():.3f}")


def main():
    torch.manual_seed(0)
    tokens, labels = load_sentences()
    training, held_out = fb.split(len(labels), [0.8, 0.2], labels=labels.astype(int), seed=0)
    print(f"{len(labels)} sentences, {labels.mean():.2f} of them from NumPy")

    whole = fb.Ragged(tokens)
    order = fb.Bucketed(whole.lengths[training])
    print(f"an LSTM over whole sentences, of {whole.lengths.min()} to {whole.lengths.max()} words")
    print(f"padding in batches of like length: {100 * order.padding(0, 0, 64):.1f}%")
    loader = fb.Loader((whole, labels), 64, sampler=fb.Subset(training, order), seed=0, output="torch")
    test = fb.Loader((whole, labels), 256, sampler=held_out, output="torch")
    train(Recurrent(), loader, test)

    first = fb.Ragged(tokens, length=FIRST)
    print(f"attention over the first {FIRST} words, {(whole.lengths > FIRST).mean():.0%} of the sentences are cut")
    loader = fb.Loader((first, labels), 64, sampler=fb.Subset(training), seed=0, output="torch")
    test = fb.Loader((first, labels), 256, sampler=held_out, output="torch")
    train(Attentive(), loader, test)


if __name__ == "__main__":
    main()
