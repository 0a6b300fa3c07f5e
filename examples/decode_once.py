"""Image files decoded once, into a column that is mapped, cropped and normalised ever after.

Decoding PNG and JPEG is not fastbatch's: Pillow does it, one image at a time, into a .npy file that may be larger than
memory. A run that finds it needs no image files. (`fastbatch.materialize` does the same with a dataset of torch's that
decodes, on several threads, and goes on where it was stopped.)

Tiles of the two photos that ship with scikit-learn stand for files of your own: which of them is a tile from? Needs
Pillow, scikit-learn (for the data) and torch.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images
from torch import nn

import fastbatch as fb

TILE = 40  # pixels along each side of a file
STORED, CROPPED = 36, 32  # of an image in the column, in a batch
N_EPOCHS = 4


def write_tiles(folder):
    """A folder for each photo with its tiles, PNG and JPEG, those at the edges smaller: as files are found."""
    photos = load_sample_images()
    for name, photo in zip(photos.filenames, photos.images, strict=True):
        of_photo = folder / Path(name).stem
        of_photo.mkdir(parents=True)
        for top in range(0, photo.shape[0], TILE):
            for left in range(0, photo.shape[1], TILE):
                kind = "png" if (top + left) // TILE % 2 == 0 else "jpg"
                tile = Image.fromarray(photo[top : top + TILE, left : left + TILE])
                tile.save(of_photo / f"{top:03}-{left:03}.{kind}")


def decode_once(folder, columns):
    """The images of all files below a folder as a column, uint8 of shape (n, height, width, 3), and their labels."""
    if (columns / "labels.npy").exists():
        print("the columns are there: no file is decoded")
        return
    files = sorted(folder.glob("*/*"))
    images = np.lib.format.open_memmap(columns / "images.npy", "w+", np.uint8, (len(files), STORED, STORED, 3))
    for row, file in enumerate(files):
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        images[row] = ImageOps.fit(upright, (STORED, STORED))  # cut to a square and resampled
    images.flush()
    _, labels = np.unique([file.parent.name for file in files], return_inverse=True)
    np.save(columns / "labels.npy", labels)  # at last: where there are labels, there are all images
    print(f"{len(files)} files decoded into a column of {images.nbytes:,} bytes")


def make_network():
    return nn.Sequential(
        nn.Conv2d(3, 12, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24 * 5 * 5, 2),
    )  # fmt: skip


def train(images, labels):
    """Print the loss of each epoch, and how many images that were held out are recognised."""
    training, held_out = fb.split(len(images), [0.7, 0.3], labels=labels, seed=0)
    found = fb.statistics(images, layout="NHWC")  # of all: images[training] would be in memory
    to_planes, normalize = fb.Layout("NHWC", "NCHW"), fb.Normalize(found.mean, found.std)
    augmented = [to_planes, fb.RandomResizedCrop(CROPPED, scale=(0.4, 1)), fb.RandomFlip(), normalize]
    loader = fb.Loader(
        (images, labels), 16, sampler=fb.Subset(training), seed=0, output="torch", transforms={0: augmented}
    )
    test = fb.Loader(
        (images, labels), 64, sampler=held_out, output="torch",
        transforms={0: [to_planes, fb.CenterCrop(CROPPED), normalize]},
    )  # fmt: skip

    network = make_network()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.002)
    with loader, test:
        for epoch in range(1, N_EPOCHS + 1):
            total = 0.0
            for batch, targets in loader:
                loss = nn.functional.cross_entropy(network(batch), targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(targets)
            print(f"epoch {epoch}: loss {total / len(training):.4f}")
        with torch.no_grad():
            right = sum((network(batch).argmax(1) == targets).sum().item() for batch, targets in test)
    print(f"right on {len(held_out)} held-out tiles: {right / len(held_out):.3f}")


def main():
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        photos, columns = Path(folder) / "photos", Path(folder) / "columns"
        write_tiles(photos)
        columns.mkdir()
        for _ in range(2):  # as the first run does, and any other
            decode_once(photos, columns)
        images = np.load(columns / "images.npy", mmap_mode="r")
        train(images, np.load(columns / "labels.npy"))
        del images  # Windows removes no file that is mapped


if __name__ == "__main__":
    main()
