"""Images cropped, resampled, normalised and mixed while they are gathered, for a small convolutional network.

Real digits, enlarged to 32 x 32 once, as files would be decoded once; what changes every epoch is done by the Loader.
Needs torch and scikit-learn (for the data). On a machine with a GPU the batches arrive there, and the network runs in
bfloat16.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import fastbatch as fb

N_EPOCHS = 8
DEVICE = "cuda" if torch.cuda.is_available() else None


def load_images():
    """uint8 images of shape (n, 32, 32), and their digits."""
    digits = load_digits()
    small = torch.from_numpy(digits.images)[:, None]
    images = nn.functional.interpolate(small, size=(32, 32), mode="bilinear")[:, 0]
    return (images * (255 / 16)).round().to(torch.uint8).numpy(), digits.target


def make_network():
    return nn.Sequential(
        nn.Conv2d(1, 12, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 5 * 5, 10),
    )  # fmt: skip


def train_epoch(network, optimizer, loader):
    """The mean loss of one epoch; the targets are shares of classes."""
    total, n_rows = 0.0, 0
    for images, targets in loader:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=images.is_cuda):
            loss = nn.functional.cross_entropy(network(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(images)
        n_rows += len(images)
    return total / n_rows


@torch.no_grad()
def accuracy(network, loader):
    right = sum((network(images).argmax(1) == labels).sum().item() for images, labels in loader)
    return right / sum(len(labels) for _, labels in loader)


def main():
    torch.manual_seed(0)
    images, labels = load_images()
    training, held_out = fb.split(len(images), [0.7, 0.3], labels=labels, seed=0)
    found = fb.statistics(images, rows=training, layout="NHW")
    print(f"{len(training)} images, mean {found.mean:.1f} and deviation {found.std:.1f} of 0 to 255")

    to_planes, normalize = fb.Layout("NHW", "NCHW"), fb.Normalize(found.mean, found.std)
    augmented = [to_planes, fb.RandomCrop(32, padding=3), fb.Cutout(6), normalize]
    loader = fb.Loader(
        (images, labels), 64, sampler=fb.Subset(training), seed=0, output="torch", device=DEVICE,
        transforms={0: augmented, 1: fb.OneHot(10, smoothing=0.05), (0, 1): fb.MixUp(0.1)},
    )  # fmt: skip
    test = fb.Loader(
        (images, labels), 256, sampler=held_out, output="torch", device=DEVICE,
        transforms={0: [to_planes, normalize]},
    )  # fmt: skip

    network = make_network().to(DEVICE or "cpu")
    optimizer = torch.optim.Adam(network.parameters(), lr=0.005)
    for epoch in range(1, N_EPOCHS + 1):
        loss = train_epoch(network, optimizer, loader)
        if epoch % 2 == 0:
            print(f"epoch {epoch}: loss {loss:.4f}")
    print(f"accuracy on {len(held_out)} held-out digits: {accuracy(network, test):.3f}")
    print(f"waited for data: {100 * loader.stats().wait_share:.1f}% of the time")


if __name__ == "__main__":
    main()
