"""Keras: what it trains on is what the Loader would give, in its order, whatever Keras does with numbers of batches.

On the torch backend, unless KERAS_BACKEND names another one.
"""

import collections
import itertools

import keras
import numpy as np
import pytest

import fastbatch as fb
import fastbatch.keras

N, BATCH = 300, 32
PER_EPOCH = -(-N // BATCH)
FEATURES = np.random.default_rng(0).normal(size=(N, 8)).astype(np.float32)
FEATURES[:, 0] = np.arange(N) / N  # which row it is
LABELS = (FEATURES.sum(axis=1) > 0.5).astype(np.int64)
Pair = collections.namedtuple("Pair", ["x", "y"])


def loader_of(data=(FEATURES, LABELS), shuffle=True, **options):
    return fb.Loader(data, BATCH, shuffle=shuffle, seed=1, **options)


def dataset_of(*arguments, **options):
    return fastbatch.keras.as_pydataset(loader_of(*arguments, **options))


def order_of(*epochs):
    orders = [fb.Shuffle(N).order(1, epoch) for epoch in epochs]
    return [order[first : first + BATCH].tolist() for order in orders for first in range(0, N, BATCH)]


def rows_of(batch):
    return np.rint(keras.ops.convert_to_numpy(batch[0])[:, 0] * N).astype(int).tolist()


class Model(keras.Sequential):
    """A classifier that keeps which rows it has seen."""

    def __init__(self, is_built=False):
        keras.utils.set_random_seed(0)
        super().__init__(is_built * [keras.Input((8,))] + [keras.layers.Dense(2)])
        self.seen, self.tested = [], []
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.compile(keras.optimizers.SGD(0.5), loss, metrics=["accuracy"], run_eagerly=True)

    def train_step(self, *state_and_batch):  # JAX passes the state
        self.seen.append(rows_of(state_and_batch[-1]))
        return super().train_step(*state_and_batch)

    def test_step(self, *state_and_batch):
        self.tested.append(rows_of(state_and_batch[-1]))
        return super().test_step(*state_and_batch)

    def learn(self, dataset, **options):
        return self.fit(dataset, verbose=0, **options).history


class StopAt(keras.callbacks.Callback):
    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch == self.batch


class SaveEach(keras.callbacks.Callback):
    def __init__(self, loader):
        super().__init__()
        self.loader, self.states = loader, []

    def on_epoch_end(self, epoch, logs=None):
        self.states.append(self.loader.state_dict())


# ---------------------------------------------------------------------------------------------------------------------
# Order
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"shuffle": False}], ids=str)
@pytest.mark.parametrize("is_built", [False, True])  # Keras begins a pass to build a model, and drops it
def test_keras_trains_in_the_order_of_the_loader(is_built, options):
    model = Model(is_built)
    losses = model.learn(dataset_of(), epochs=3, **options)["loss"]
    assert model.seen == order_of(0, 1, 2)
    assert sorted(itertools.chain(*model.seen[:PER_EPOCH])) == list(range(N))
    assert losses[-1] < 0.7 * losses[0]


def test_keras_goes_on_with_the_next_epoch_when_fit_is_called_again():
    model, dataset = Model(), dataset_of()
    model.learn(dataset)
    model.learn(dataset, epochs=3, initial_epoch=1)
    assert model.seen == order_of(0, 1, 2)
    dataset.loader.set_epoch(7)
    model.learn(dataset)
    assert model.seen[3 * PER_EPOCH :] == order_of(7)


def test_keras_begins_with_the_epoch_of_the_loader():
    loader = loader_of()
    loader.set_epoch(5)
    model = Model()
    model.learn(fastbatch.keras.as_pydataset(loader))
    assert model.seen == order_of(5)


def test_keras_begins_a_pass_again_that_was_broken_off():
    model, dataset = Model(), dataset_of()
    model.learn(dataset, callbacks=[StopAt(3)])
    model.learn(dataset, epochs=2)
    assert model.seen == order_of(0)[:4] + order_of(0, 1)


def test_a_pass_that_was_broken_off_at_its_last_batch_is_over():
    model, dataset = Model(), dataset_of()
    model.learn(dataset, callbacks=[StopAt(PER_EPOCH - 1)])
    assert rows_of(dataset[0]) == order_of(1)[0]
    model.learn(dataset)
    assert model.seen == order_of(0, 1)


def test_a_pass_goes_on_through_the_epochs_that_keras_makes_of_it():
    model, dataset = Model(), dataset_of()
    model.learn(dataset, epochs=4, steps_per_epoch=PER_EPOCH // 2)
    assert model.seen == order_of(0, 1)
    model.learn(dataset)
    assert model.seen == order_of(0, 1, 2)


def test_a_state_saved_after_an_epoch_goes_on_with_the_next():
    whole, dataset = Model(), dataset_of()
    saving = SaveEach(dataset.loader)
    whole.learn(dataset, epochs=3, callbacks=[saving])
    loader = loader_of()
    loader.load_state_dict(saving.states[0])
    rest = Model()
    rest.learn(fastbatch.keras.as_pydataset(loader), epochs=3, initial_epoch=1)
    assert rest.seen == whole.seen[PER_EPOCH:]


def test_an_epoch_whose_state_was_taken_in_the_middle_is_begun_again():
    first, second = loader_of(), loader_of()
    next(iter(first))
    second.load_state_dict(first.state_dict())
    model = Model()
    model.learn(fastbatch.keras.as_pydataset(second), epochs=2)
    assert model.seen == order_of(0, 1)


def test_no_setting_of_keras_brings_workers_in():
    model, dataset = Model(), dataset_of()
    with pytest.raises(AttributeError, match="workers"):
        dataset.workers = 2
    dataset.use_multiprocessing = True
    model.learn(dataset, epochs=2)
    assert model.seen == order_of(0, 1)


# ---------------------------------------------------------------------------------------------------------------------
# Validation and prediction
# ---------------------------------------------------------------------------------------------------------------------


def test_keras_validates_on_every_row_once_after_each_epoch():
    model = Model()
    history = model.learn(dataset_of(), epochs=3, validation_data=dataset_of(shuffle=False))
    in_order = [list(range(first, min(first + BATCH, N))) for first in range(0, N, BATCH)]
    assert model.tested == 3 * in_order
    assert model.seen == order_of(0, 1, 2)
    expected = model.evaluate(FEATURES, LABELS, batch_size=BATCH, verbose=0)
    assert [history["val_loss"][-1], history["val_accuracy"][-1]] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_keras_predicts_row_by_row(output):
    model = Model(is_built=True)
    predicted = model.predict(dataset_of(FEATURES, shuffle=False, output=output), verbose=0)
    np.testing.assert_allclose(predicted, model.predict(FEATURES, verbose=0), rtol=1e-5)


# ---------------------------------------------------------------------------------------------------------------------
# Batches
# ---------------------------------------------------------------------------------------------------------------------


def test_batches_between_passes_are_those_of_the_loaders_epoch():
    dataset = dataset_of()
    assert len(dataset) == PER_EPOCH
    assert rows_of(dataset[3]) == order_of(0)[3]
    assert [rows_of(batch) for batch in dataset] == order_of(0)
    Model().learn(dataset)
    assert rows_of(dataset[PER_EPOCH - 1]) == order_of(1)[-1]
    assert len(dataset[PER_EPOCH - 1][0]) == N % BATCH


@pytest.mark.parametrize("data", [[FEATURES, LABELS], Pair(FEATURES, LABELS)], ids=["list", "namedtuple"])
def test_lists_and_namedtuples_are_tuples_to_keras(data):
    model = Model()
    dataset = dataset_of(data)
    assert type(dataset[0]) is tuple
    model.learn(dataset, class_weight={0: 1.0, 1: 2.0})
    assert model.seen == order_of(0)


@pytest.mark.parametrize(
    "features",
    [{"left": FEATURES[:, :4], "right": FEATURES[:, 4:]}, [FEATURES[:, :4], FEATURES[:, 4:]]],
    ids=["dict", "list"],
)
def test_a_model_may_have_several_inputs(features):
    inputs = [keras.Input((4,), name="left"), keras.Input((4,), name="right")]
    named = {layer.name: layer for layer in inputs} if isinstance(features, dict) else inputs
    model = keras.Model(named, keras.layers.Dense(2)(keras.layers.Concatenate()(inputs)))
    model.compile(keras.optimizers.SGD(0.5), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = model.fit(dataset_of((features, LABELS)), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


def test_a_third_array_holds_the_weights_of_rows():
    weights = np.zeros(N, np.float32)
    model = Model(is_built=True)
    before = model.get_weights()
    model.learn(dataset_of((FEATURES, LABELS, weights)))
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_what_map_makes_of_a_batch_is_what_keras_gets():
    model = Model()
    model.learn(dataset_of(LABELS, map=lambda labels: (np.repeat(labels[:, None] / N, 8, axis=1), labels)))
    assert model.seen == [LABELS[rows].tolist() for rows in order_of(0)]


# ---------------------------------------------------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------------------------------------------------


def by_number(epoch, samples):
    return BATCH


@pytest.mark.parametrize(
    ("loader", "error", "message"),
    [
        (lambda: (FEATURES, LABELS), TypeError, "must be a fastbatch.Loader, got tuple"),
        (lambda: fb.Loader(FEATURES, 32, sampler=iter(range(N))), TypeError, "an iterable has no batch by number"),
        (
            lambda: fb.Loader(FEATURES, 32, sampler=fb.Prioritized(np.ones(N))),
            TypeError,
            "follows updates",
        ),
        (lambda: loader_of(rows=True), ValueError, "Keras would take row numbers"),
        (lambda: loader_of(FEATURES, rows=True), ValueError, "Keras would take row numbers"),
        (lambda: loader_of((FEATURES, LABELS, LABELS, LABELS)), ValueError, "got a tuple of 4"),
        (lambda: fb.Loader(FEATURES, by_number), ValueError, "batch_size must be a number"),
        (
            lambda: fb.Loader(FEATURES, batch_sampler=fb.TokenBudget(np.ones(N, int), 9)),
            ValueError,
            "batch_size must be a number",
        ),
        (lambda: fb.Loader(FEATURES[:0], 32), IndexError, "an epoch of 0 batches"),
    ],
    ids=["no Loader", "iterable", "live", "rows", "rows of x", "four", "schedule", "tokens", "empty"],
)
def test_what_keras_cannot_take_is_refused_when_the_dataset_is_made(loader, error, message):
    made = loader()
    with pytest.raises(error, match=message):
        fastbatch.keras.as_pydataset(made)
