"""TensorFlow: a pipeline of tf.data has the Loader's batches in the Loader's order."""

import re

from programs import numbers, run_example


def test_the_example_learns_from_a_pipeline_in_the_order_of_the_loader(tmp_path):
    printed = run_example("tf_data.py", tmp_path, is_quiet=False, timeout=300)
    assert "46 batches of (None, 64) images" in printed
    losses = [float(loss) for loss in re.findall(r"loss ([\d.]+); 1460 rows in the Loader's order: True", printed)]
    assert len(losses) == 5
    assert losses[-1] < 0.4 * losses[0]
    (accuracy,) = numbers(r"accuracy on 359 held-out images: ([\d.]+)", printed)
    assert accuracy > 0.93
