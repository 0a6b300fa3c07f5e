"""The examples run as a user would run them, and their figures say that they work."""

import re

import pytest

from programs import EXAMPLES, numbers, run_example


def test_in_memory_mini_batches_learns_and_cuts_the_last_batch(tmp_path):
    printed = run_example("in_memory_mini_batches.py", tmp_path)
    assert "1000 rows in 32 batches; the first: x (32, 10), y (32,)" in printed
    losses = [float(loss) for loss in re.findall(r"epoch \d+: loss ([\d.]+)", printed)]
    assert len(losses) == 10
    assert losses[-1] < 0.25 < 0.3 < losses[0]
    (accuracy,) = numbers(r"accuracy on 1000 new rows: ([\d.]+)", printed)
    assert 0.88 < accuracy < 0.96  # the noise in the labels allows about 0.93
    assert "drop_last=False: 32 batches, the last of 13 rows" in printed
    assert "drop_last=True: 31 batches, the last of 32 rows" in printed


def imbalanced_section(title, printed):
    """Batches, rows, the class counts of the first batches, and (rows, fewest, most times taken) of each class."""
    section = printed[printed.index(title) :]
    n_batches, n_rows = map(int, re.search(r": (\d+) batches, (\d+) rows", section).groups())
    counts = re.search(r"first batches: (.*)", section).group(1)
    first = [tuple(map(int, batch)) for batch in re.findall(r"\[(\d+), (\d+), (\d+)\]", counts)]
    taken = re.findall(r"class \d: (\d+) rows, each taken (\d+) to (\d+) times", section)[:3]
    assert len(first) == len(taken) == 3
    return n_batches, n_rows, first, [tuple(map(int, of_class)) for of_class in taken]


def test_imbalanced_batches_stop_takes_no_row_twice(tmp_path):
    printed = run_example("imbalanced_batches.py", tmp_path)
    n_batches, n_rows, first, taken = imbalanced_section("stop when", printed)
    rarest = min(n for n, _, _ in taken)
    assert all(most == 1 for _, _, most in taken)
    assert 3 * rarest <= n_rows <= 3 * rarest + 2  # the class that ran out is found on its turn
    assert n_batches == -(-n_rows // 32)
    assert all(sorted(counts) == [10, 11, 11] for counts in first)


def test_imbalanced_batches_recycle_takes_every_row(tmp_path):
    printed = run_example("imbalanced_batches.py", tmp_path)
    _, n_rows, first, taken = imbalanced_section("recycle the small", printed)
    (largest, *smaller) = taken
    assert largest[1:] == (1, 1)
    assert all(most - fewest <= 1 <= fewest for _, fewest, most in smaller)
    assert abs(n_rows - 3 * largest[0]) <= 2
    assert all(sorted(counts) == [10, 11, 11] for counts in first)


def test_imbalanced_batches_proportions_are_kept_in_each_batch(tmp_path):
    printed = run_example("imbalanced_batches.py", tmp_path)
    _, n_rows, first, taken = imbalanced_section("recycle, one half", printed)
    assert taken[0][1:] == (1, 1)
    assert abs(n_rows - 2 * taken[0][0]) <= 3
    for counts in first:
        assert all(abs(count - share) <= 2 for count, share in zip(counts, (16, 8, 8), strict=True))


def test_wine_torch_classifies_held_out_wines(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    printed = run_example("wine_torch.py", tmp_path)
    losses = [float(loss) for loss in re.findall(r"epoch \d+: loss ([\d.]+)", printed)]
    assert len(losses) == 4
    assert losses[-1] < losses[0] < 0.3
    (accuracy,) = numbers(r"accuracy on 38 held-out wines: ([\d.]+)", printed)
    assert accuracy > 0.9


def test_image_pipeline_learns_from_images_that_change_every_epoch(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    printed = run_example("image_pipeline.py", tmp_path)
    assert "1258 images, mean 77.9 and deviation 82.6 of 0 to 255" in printed
    losses = [float(loss) for loss in re.findall(r"epoch \d+: loss ([\d.]+)", printed)]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    (accuracy,) = numbers(r"accuracy on 539 held-out digits: ([\d.]+)", printed)
    assert accuracy > 0.93


def test_decode_once_learns_from_files_that_are_decoded_by_the_first_run_only(tmp_path):
    for package in ("torch", "sklearn", "PIL"):
        pytest.importorskip(package)
    printed = run_example("decode_once.py", tmp_path)
    assert printed.startswith("352 files decoded into a column of 1,368,576 bytes\nthe columns are there")
    assert printed.count("files decoded") == 1
    losses = [float(loss) for loss in re.findall(r"epoch \d+: loss ([\d.]+)", printed)]
    assert len(losses) == 4
    assert losses[-1] < losses[0] / 2
    (right,) = numbers(r"right on 106 held-out tiles: ([\d.]+)", printed)
    assert right > 0.85


def test_text_pipeline_reads_whole_sentences_and_the_first_words_of_each(tmp_path):
    pytest.importorskip("torch")
    whole, first = run_example("text_pipeline.py", tmp_path).split("attention over the first 16 words, ")
    (padding,) = numbers(r"padding in batches of like length: ([\d.]+)%", whole)
    assert padding < 10
    (cut,) = numbers(r"(\d+)% of the sentences are cut", first)
    assert cut > 20
    for printed in (whole, first):
        losses = [float(loss) for loss in re.findall(r"epoch \d+: loss ([\d.]+)", printed)]
        assert len(losses) == 3
        assert losses == sorted(losses, reverse=True)
        (right,) = numbers(r"right on \d+ held-out sentences: ([\d.]+)", printed)
        assert right > 0.8


def test_packed_transformer_learns_and_says_of_each_paragraph_what_it_says_of_it_alone(tmp_path):
    pytest.importorskip("torch")
    printed = run_example("packed_transformer.py", tmp_path)
    (padded,) = numbers(r"padding in batches of 32 paragraphs: ([\d.]+)%", printed)
    (packed,) = numbers(r"padding in \d+ packed rows: ([\d.]+)%", printed)
    assert packed < 1 < 50 < padded
    (by_frequencies,) = numbers(r"loss by the frequencies of words alone: ([\d.]+)", printed)
    losses = [float(loss) for loss in re.findall(r"epoch \d+: loss ([\d.]+)", printed)]
    assert len(losses) == 3
    assert losses == sorted(losses, reverse=True)
    (held_out,) = numbers(r"loss of \d+ held-out paragraphs: ([\d.]+)", printed)
    assert max(losses[-1], held_out) < by_frequencies - 0.5
    (apart,) = numbers(r"packed and each alone, differ by at most ([\d.e+-]+)", printed)
    assert apart < 1e-4


def test_time_series_windows_predict_nearly_as_well_as_possible(tmp_path):
    printed = run_example("time_series_windows.py", tmp_path)
    assert "windows are a view of the series: True" in printed
    assert "by fb.take: (5, 17)" in printed
    (naive,) = numbers(r"the last value again: ([\d.]+)", printed)
    (learned,) = numbers(r"learned from batches: ([\d.]+)", printed)
    (best,) = numbers(r"the best possible: +([\d.]+)", printed)
    assert learned < 1.05 * best
    assert learned < naive / 3


def test_digits_resume_delivers_each_row_once_in_the_same_order(tmp_path):
    printed = run_example("digits_resume.py", tmp_path)
    assert "stopped after 20 batches of 32; 37 are left" in printed
    assert "went on with 12 batches of up to 100" in printed
    assert "1797 rows delivered, each of the 1797 images exactly once: True" in printed
    assert "in the order of an epoch without a break: True" in printed


def test_mapped_table_is_learned_from_while_it_is_watched(tmp_path):
    printed = run_example("mapped_table.py", tmp_path)
    shares = [float(share) for share in re.findall(r"epoch \d: ([\d.]+) right, 391 batches of 200000 rows", printed)]
    assert len(shares) == 2
    assert shares[0] > 0.9
    assert shares[1] > 0.95
    assert len(re.findall(r"waited for data: [\d.]+% of the time", printed)) == 2
    assert "threads: 1, as asked for, fill batches ahead" in printed
    assert "map: on 1 Python threads, in order" in printed


def test_hard_examples_are_learned_better_when_they_come_more_often(tmp_path):
    printed = run_example("hard_examples.py", tmp_path)
    assert "790 images to learn from, 33 of them of digits (1, 8, 9)" in printed
    alike, of_rare_alike = numbers(r"all alike: ([\d.]+) right, of the rare digits ([\d.]+)", printed)
    for rule in (r"exp\(loss\)", r"loss \*\* 0.5"):
        share, of_rare = numbers(rf"{rule}: ([\d.]+) right, of the rare digits ([\d.]+)", printed)
        assert share > alike > 0.85
        assert of_rare > of_rare_alike + 0.05


def test_prioritized_replay_needs_half_of_the_batches(tmp_path):
    printed = run_example("prioritized_replay.py", tmp_path)
    assert "2046 transitions, 1 of them with a reward" in printed
    (uniform,) = numbers(r"uniform: (\d+) batches of 8", printed)
    (prioritized,) = numbers(r"prioritized: (\d+) batches of 8", printed)
    assert prioritized < 0.5 * uniform


def test_evaluation_on_ranks_counts_every_row_once(tmp_path):
    printed = run_example("evaluation_on_ranks.py", tmp_path)
    (n_right,) = numbers(r"one process: (\d+) of 897 right", printed)
    assert f"exact: {n_right:.0f} of 897 right, on 4 ranks with {{4}} batches each" in printed
    assert re.search(r"wrap: \d+ of 900 right, on 4 ranks with \{4\} batches each", printed)


def test_partial_fit_learns_from_a_table_in_units_of_all_sizes(tmp_path):
    pytest.importorskip("sklearn")
    printed = run_example("partial_fit.py", tmp_path)
    assert "4,000,000 bytes in the file, 40,000 in a batch" in printed
    assert "40000 rows to learn from, 10000 held out" in printed
    standardised = [float(share) for share in re.findall(r"standardised, epoch \d: ([\d.]+) right", printed)]
    as_they_are = [float(share) for share in re.findall(r"as they are, epoch \d: ([\d.]+) right", printed)]
    assert len(standardised) == len(as_they_are) == 2
    assert standardised[-1] > 0.85
    assert standardised[-1] > as_they_are[-1] + 0.1


def test_the_readmes_ten_lines_run():
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    names = {}
    exec(re.search(r"```python\n(.*?)```", readme, re.DOTALL).group(1), names)
    assert names["features"].shape == (160, 16)
