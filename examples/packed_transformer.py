"""A small causal transformer that predicts the next word, trained on paragraphs packed into rows of one size.

English that ships with Python. Hardly anything of a packed row is padding, and paragraphs in one row do not see each
other: what the model says of each is what it says of it alone. Needs torch.
"""

import pydoc_data.topics
import re

import numpy as np
import torch
from torch import nn

import fastbatch as fb

CONTEXT = 128
N_WORDS = 1000
N_EPOCHS = 3
WIDTH, N_HEADS, N_LAYERS = 64, 4, 2


def load_paragraphs():
    """Each paragraph once, as an array of word numbers. 0 is for padding, 1 for rare words."""
    texts = re.split(r"\n\s*\n", "\n\n".join(pydoc_data.topics.topics.values()))
    found = [re.findall(r"[a-z]+|[^a-z\s]", text.lower())[:CONTEXT] for text in dict.fromkeys(texts)]
    paragraphs = [words for words in found if len(words) >= 4]
    words, counts = np.unique(np.concatenate(paragraphs), return_counts=True)
    common = words[np.argsort(-counts, kind="stable")[:N_WORDS]]
    number_of = {word: number for number, word in enumerate(common, start=2)}
    return [np.array([number_of.get(word, 1) for word in paragraph], np.int64) for paragraph in paragraphs]


class Predictor(nn.Module):
    def __init__(self):
        super().__init__()
        self.word = nn.Embedding(N_WORDS + 2, WIDTH)
        self.place = nn.Embedding(CONTEXT, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, N_HEADS, 4 * WIDTH, dropout=0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, N_LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.out = nn.Linear(WIDTH, N_WORDS + 2)

    def forward(self, values, positions, segments):
        # Words see those of their own segment up to themselves. Padding is segment 0, so that its rows see something.
        sees = (segments[:, :, None] == segments[:, None, :]) & (positions[:, :, None] >= positions[:, None, :])
        hidden = self.word(values) + self.place(positions)
        return self.out(self.layers(hidden, mask=~sees.repeat_interleave(N_HEADS, dim=0)))


def unigram_loss(paragraphs):
    """The loss of who knows how frequent words are, and nothing else."""
    _, counts = np.unique(np.concatenate([words[1:] for words in paragraphs]), return_counts=True)
    shares = counts / counts.sum()
    return -(shares * np.log(shares)).sum()


def say_padding(ragged, packing):
    """Print how much of a batch is padding, where rows are padded and where they are packed."""
    n_padded = sum(mask.size for _, _, mask in fb.Loader(ragged, 32, shuffle=True, seed=0))
    of_like_length = fb.Bucketed(ragged.lengths, block=32).padding(0, 0, 32)
    print(f"padding in batches of 32 paragraphs: {1 - ragged.lengths.sum() / n_padded:.1%}")
    print(f"padding in batches of like length: {of_like_length:.1%}")
    print(f"padding in {len(packing)} packed rows: {packing.padding:.1%}")


def epoch_loss(model, loader, optimizer=None):
    """The mean loss of one epoch, of all words but the first of each paragraph. With an optimizer it is lowered."""
    total, n_words = 0.0, 0
    for values, positions, segments in loader:
        follows = positions[:, 1:] > 0  # neither the first words nor the padding do
        words = values[:, 1:][follows]
        loss = nn.functional.cross_entropy(model(values, positions, segments)[:, :-1][follows], words)
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        total += loss.item() * len(words)
        n_words += len(words)
    return total / n_words


def logits_packed(model, ragged, packing):
    """What the model says of each word, one paragraph behind the other, all of them packed."""
    loader = fb.Loader(packing.pack(ragged), 8, output="torch")
    return torch.cat([model(*batch)[batch.segments > 0] for batch in loader])


def logits_alone(model, ragged, packing):
    """The same of each paragraph alone, in the order in which they are packed."""
    loader = fb.Loader(ragged, 1, sampler=packing.sequences, output="torch")
    in_order = torch.arange(CONTEXT)[None]
    return torch.cat([model(words, in_order[:, : words.shape[1]], mask.long())[0] for words, _, mask in loader])


def main():
    torch.manual_seed(0)
    paragraphs = load_paragraphs()
    training, held_out = ([paragraphs[i] for i in rows] for rows in fb.split(len(paragraphs), [0.9, 0.1], seed=0))
    ragged = fb.Ragged(training)
    packing = fb.FirstFit(ragged.lengths, CONTEXT)
    print(f"{len(training)} paragraphs of {ragged.lengths.sum()} words")
    say_padding(ragged, packing)

    loader = fb.Loader(packing.pack(ragged), 8, shuffle=True, seed=0, output="torch")
    model = Predictor()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    print(f"loss by the frequencies of words alone: {unigram_loss(training):.4f}")
    for epoch in range(1, N_EPOCHS + 1):
        print(f"epoch {epoch}: loss {epoch_loss(model, loader, optimizer):.4f}")

    ragged = fb.Ragged(held_out)
    packing = fb.FirstFit(ragged.lengths, CONTEXT)
    with torch.no_grad():
        loss = epoch_loss(model, fb.Loader(packing.pack(ragged), 8, output="torch"))
        apart = (logits_packed(model, ragged, packing) - logits_alone(model, ragged, packing)).abs().max()
    print(f"loss of {len(held_out)} held-out paragraphs: {loss:.4f}")
    print(f"their logits, packed and each alone, differ by at most {apart:.1e}")


if __name__ == "__main__":
    main()
