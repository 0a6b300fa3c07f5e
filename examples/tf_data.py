"""A tf.data pipeline whose batches are a Loader's: gathered by fastbatch, then mapped and prefetched by TensorFlow.

Needs TensorFlow.
"""

import numpy as np
import tensorflow as tf

import fastbatch as fb
from fastbatch.demo import load_digits

BATCH_SIZE, N_EPOCHS, RATE = 32, 5, 0.5


def pipeline(loader):
    """The batches of a Loader as a tf.data.Dataset; each pass is the Loader's next epoch."""
    # The number of rows stays open: the last batch of an epoch is shorter.
    signature = tuple(tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in loader.batch(0, 0))
    batches = tf.data.Dataset.from_generator(lambda: loader, output_signature=signature)
    return batches.apply(tf.data.experimental.assert_cardinality(len(loader)))


def noisy(images, digits, rows):
    """An augmentation that TensorFlow does on its own threads."""
    return images + tf.random.normal(tf.shape(images), stddev=0.1), digits, rows


class Classifier(tf.Module):
    """Softmax regression by stochastic gradient descent."""

    def __init__(self, n_features, n_classes):
        super().__init__()
        self.weights = tf.Variable(tf.zeros((n_features, n_classes)))
        self.bias = tf.Variable(tf.zeros(n_classes))

    def __call__(self, images):
        return images @ self.weights + self.bias

    @tf.function(reduce_retracing=True)
    def step(self, images, digits):
        """One update; gives the mean loss before it."""
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=digits, logits=self(images))
            loss = tf.reduce_mean(losses)
        for variable, gradient in zip(self.variables, tape.gradient(loss, self.variables), strict=True):
            variable.assign_sub(RATE * gradient)
        return loss


def main():
    tf.random.set_seed(0)
    images, digits = load_digits()
    training, held_out = fb.split(len(images), [0.8, 0.2], labels=digits, seed=0)
    sampler = fb.Subset(training, fb.Balanced(digits[training], exhausted="recycle"))
    loader = fb.Loader((images, digits), BATCH_SIZE, sampler=sampler, seed=0, rows=True)
    batches = pipeline(loader).map(noisy, num_parallel_calls=2).prefetch(2)
    print(f"{len(batches)} batches of {batches.element_spec[0].shape} images")

    model = Classifier(images.shape[1], 10)
    for epoch in range(N_EPOCHS):
        losses, seen = [], []
        for some, of_some, rows in batches:
            losses.append(model.step(some, of_some).numpy())
            seen.append(rows.numpy())
        seen = np.concatenate(seen)
        is_the_order = np.array_equal(seen, sampler.order(0, epoch))
        print(f"epoch {epoch}: loss {np.mean(losses):.3f}; {len(seen)} rows in the Loader's order: {is_the_order}")
    is_right = tf.argmax(model(images[held_out]), axis=1) == digits[held_out]
    print(f"accuracy on {len(held_out)} held-out images: {np.mean(is_right):.3f}")


if __name__ == "__main__":
    main()
