"""Training a PyTorch classifier on the Wine data: tensors in, batches of tensors out.

Needs torch and scikit-learn (for the data).
"""

import torch
from sklearn.datasets import load_wine
from torch import nn

import fastbatch as fb

N_HELD_OUT = 38
N_EPOCHS = 40


def load_tensors(seed):
    """Training and held-out features and labels; features standardised by the training rows alone."""
    wine = load_wine()
    x = torch.tensor(wine.data, dtype=torch.float32)
    y = torch.tensor(wine.target)
    order = torch.from_numpy(fb.permutation(len(y), rng=seed))
    held_out, training = order[:N_HELD_OUT], order[N_HELD_OUT:]
    x = (x - x[training].mean(dim=0)) / x[training].std(dim=0)
    return x[training], y[training], x[held_out], y[held_out]


def train(model, loader, n_epochs):
    """Fit `model` with Adam, printing the mean loss of every tenth epoch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(1, n_epochs + 1):
        total_loss, n_rows = 0.0, 0
        for x, y in loader:
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total_loss += loss.item() * len(y)  # the last batch is shorter and counts for less
            n_rows += len(y)
        if epoch % 10 == 0:
            print(f"epoch {epoch}: loss {total_loss / n_rows:.4f}")


def main():
    torch.manual_seed(0)
    x, y, x_held_out, y_held_out = load_tensors(seed=0)
    model = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 3))
    train(model, fb.Loader((x, y), 32, shuffle=True, seed=0), N_EPOCHS)
    with torch.no_grad():
        accuracy = (model(x_held_out).argmax(dim=1) == y_held_out).float().mean()
    print(f"accuracy on {N_HELD_OUT} held-out wines: {accuracy:.3f}")


if __name__ == "__main__":
    main()
