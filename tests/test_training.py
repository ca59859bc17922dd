"""The training loop: it learns, resumes exactly, keeps the best epoch, survives damage."""

import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from fkp_utils.augment import Augment
from fkp_utils.nets.models import NoseNet
from fkp_utils.nets.recipe import Recipe
from fkp_utils.training.loop import Trainer, fit, mean_shape_loss, update_average
from fkp_utils.training.schedule import ema_decay, learning_rate

pytestmark = pytest.mark.training

TOY = Recipe("toy", "NoseNet", (60, 80), epochs=4, batch=4, lr=2e-3, data="imm_nose",
             augment=Augment(rotate=10, shift=0.05, noise=0.02, flip=0.5))


def _fresh():
    torch.manual_seed(0)
    return NoseNet()


def _same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))


@pytest.mark.parametrize("target", ["coordinates", "centred"])
def test_one_tiny_batch_is_memorised(toy, target):
    faces = toy(4)
    recipe = Recipe("memorise", "NoseNet", (60, 80), epochs=250, batch=4, lr=3e-3, target=target)
    result = fit(_fresh(), faces, faces, recipe, progress=False)
    assert result.history.val_error.min() < 1.0                            # pixels
    assert result.history.train_loss.iloc[-1] < 0.05 * result.history.train_loss.iloc[0]


@pytest.mark.parametrize("recipe", [TOY, replace(TOY, ema=0.9, schedule="cosine", target="centred", loss="smooth_l1")])
def test_resumed_equals_uninterrupted_number_for_number(toy, tmp_path, recipe):
    train, val = toy(10), toy(5, seed=1)
    whole = fit(_fresh(), train, val, recipe, progress=False)
    stopped = fit(_fresh(), train, val, recipe, tmp_path, on_epoch=lambda history: len(history) < 2, progress=False)
    assert len(stopped.history) == 2
    trained = []
    resumed = fit(_fresh(), train, val, recipe, tmp_path, on_epoch=lambda history: trained.append(len(history)), progress=False)
    assert trained == [3, 4]                                                # the first two were not trained again
    columns = ["epoch", "lr", "train_loss", "val_loss", "val_error"]
    assert whole.history[columns].equals(resumed.history[columns])
    assert _same(whole.model, resumed.model)


def test_ctrl_c_leaves_a_usable_checkpoint(toy, tmp_path):
    def interrupt(history):
        if len(history) == 3:
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        fit(_fresh(), toy(8), toy(4, seed=1), TOY, tmp_path, on_epoch=interrupt, progress=False)
    trained = []
    resumed = fit(_fresh(), toy(8), toy(4, seed=1), TOY, tmp_path, on_epoch=lambda history: trained.append(len(history)),
                  progress=False)
    assert trained == [4]
    assert _same(resumed.model, fit(_fresh(), toy(8), toy(4, seed=1), TOY, progress=False).model)


@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.999])
def test_cut_checkpoint_falls_back_to_the_one_before(toy, tmp_path, keep):
    fit(_fresh(), toy(8), toy(4, seed=1), TOY, tmp_path, on_epoch=lambda h: len(h) < 3, progress=False)
    last = next(p for p in tmp_path.glob("*.pt") if "previous" not in p.name)
    content = last.read_bytes()
    last.write_bytes(content[:int(keep * len(content)) if isinstance(keep, float) else keep])
    trained = []
    resumed = fit(_fresh(), toy(8), toy(4, seed=1), TOY, tmp_path, on_epoch=lambda history: trained.append(len(history)),
                  progress=False)
    assert trained == [3, 4]                                                # the last whole state is that of epoch 2
    assert _same(resumed.model, fit(_fresh(), toy(8), toy(4, seed=1), TOY, progress=False).model)


def test_another_recipe_does_not_take_up_a_checkpoint(toy, tmp_path):
    fit(_fresh(), toy(8), toy(4, seed=1), TOY, tmp_path, progress=False)
    other = fit(_fresh(), toy(8), toy(4, seed=1), replace(TOY, lr=1e-3), tmp_path, progress=False)
    assert other.history.lr.iloc[0] == 1e-3


def test_best_epoch_is_kept(toy):
    train, val = toy(8), toy(6, seed=1)
    start = time.perf_counter()
    result = fit(_fresh(), train, val, replace(TOY, epochs=8, lr=1e-2), progress=False)
    assert (result.history.seconds > 0).all() and result.history.seconds.sum() < time.perf_counter() - start
    found = result.predict(val, batch=3)
    error = np.linalg.norm(found - val.landmarks, axis=-1).mean()
    assert error == pytest.approx(result.history.val_error.min(), rel=1e-4)
    assert result.best_epoch == result.history.val_error.idxmin() + 1
    assert result.history.epoch.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_limit_uses_the_first_faces_only(toy):
    a = fit(_fresh(), toy(10), toy(4, seed=1), replace(TOY, limit=4), progress=False)
    faces = toy(10)
    faces.images, faces.landmarks, faces.names = faces.images[:4], faces.landmarks[:4], faces.names[:4]
    assert _same(a.model, fit(_fresh(), faces, toy(4, seed=1), TOY, progress=False).model)


def test_loss_that_is_no_number_stops_with_a_reason(toy):
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        fit(_fresh(), toy(4), toy(4), replace(TOY, lr=1e18), progress=False)


def test_no_faces_is_refused(toy):
    with pytest.raises(ValueError, match="at least one face"):
        fit(_fresh(), toy(0), toy(4), TOY, progress=False)


def test_mean_shape_loss_is_the_variance_about_the_training_mean(toy):
    train, val = toy(20), toy(9, seed=2)
    target = fit(_fresh(), train, val, replace(TOY, epochs=1), progress=False).target
    expected = (((val.landmarks - train.landmarks.mean(0)) / [80, 60]) ** 2).mean()
    assert mean_shape_loss(train, val, target) == pytest.approx(expected, rel=1e-5)
    for faces in (train, val):
        faces.landmarks = faces.landmarks + np.array([[0, 0], [5, 3], [9, 9]], np.float32)
    assert mean_shape_loss(train, val, target) == pytest.approx(expected, rel=1e-5)


# ---------------------------------------------------------------- the arithmetic, by hand


@pytest.mark.parametrize("step, share", [(0, 1 / 4), (1, 2 / 4), (3, 1.0), (4, 1.0), (52, 0.5025), (100, 0.005)])
def test_cosine_warms_up_for_a_25th_and_ends_at_a_200th(step, share):
    """100 steps: 4 of warm-up, then half a cosine over 96; its middle, step 52, lies half-way between 1 and 0.005."""
    recipe = replace(TOY, schedule="cosine", lr=0.2)
    assert learning_rate(recipe, step, 100) == pytest.approx(0.2 * share)


def test_a_short_training_warms_up_for_one_step():
    assert learning_rate(replace(TOY, schedule="cosine", lr=0.2), 0, 10) == pytest.approx(0.2)


def test_a_constant_rate_stays():
    assert {learning_rate(replace(TOY, lr=0.3), step, 10) for step in range(10)} == {0.3}


@pytest.mark.parametrize("step, decay", [(0, 0.1), (8, 0.5), (26, 0.75), (10**6, 0.9)])
def test_young_averages_forget_their_start_sooner(step, decay):
    assert ema_decay(replace(TOY, ema=0.9), step) == pytest.approx(decay)


def test_an_average_moves_by_one_minus_its_decay_and_counts_stay():
    average, model = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    for net, value in ((average, 1.0), (model, 3.0)):
        torch.nn.init.constant_(net.weight, value)
        net.running_mean.fill_(value)
        net.num_batches_tracked.fill_(int(value))
    update_average(average, model, 0.75)
    assert average.weight.tolist() == [1.5, 1.5] and average.running_mean.tolist() == [1.5, 1.5]      # 0.75 * 1 + 0.25 * 3
    assert average.num_batches_tracked == 1


class Constant(torch.nn.Module):
    """Answers with its two weights, whatever it sees."""

    def __init__(self, x=0.25, y=0.5):
        super().__init__()
        self.answer = torch.nn.Parameter(torch.tensor([x, y]))

    def forward(self, images):
        return self.answer.expand(len(images), 2)


def test_one_step_is_adamws(toy):
    """Adam's first step is the learning rate against the gradient's sign, whatever its size; decay shrinks the weight."""
    faces = toy(4)
    recipe = replace(TOY, lr=0.01, weight_decay=0.5, augment=Augment(), ema=0.5)
    trainer = Trainer(Constant(0.9, 0.1), faces, faces, recipe)
    share = (faces.landmarks.mean((0, 1)) + 0.5) / [80, 60]
    errors = np.array([0.9, 0.1]) - (faces.landmarks[:, 0] + 0.5) / [80, 60]
    assert trainer.train_epoch(0) == pytest.approx((errors**2).mean(), rel=1e-5)
    assert 0.1 < share[0] < 0.9 and 0.1 < share[1] < 0.9                     # so x must fall and y must rise
    np.testing.assert_allclose(trainer.model.answer.grad, errors.mean(0), rtol=1e-5)     # of the mean over four faces' x and y
    expected = np.array([0.9 * (1 - 0.01 * 0.5) - 0.01, 0.1 * (1 - 0.01 * 0.5) + 0.01])
    np.testing.assert_allclose(trainer.model.answer.detach(), expected, rtol=1e-5)
    np.testing.assert_allclose(trainer.average.answer, 0.1 * np.array([0.9, 0.1]) + 0.9 * expected, rtol=1e-5)
    assert trainer.judged is trainer.average


def test_an_epoch_takes_each_face_once_in_an_order_of_its_own(toy):
    faces, taken = toy(10), []
    batch = faces.batch
    trainer = Trainer(Constant(), faces, faces, replace(TOY, augment=Augment()))
    trainer.train.batch = lambda rows: taken.append(list(rows)) or batch(rows)
    for epoch in (0, 1, 0):
        trainer.train_epoch(epoch)
    assert [len(rows) for rows in taken] == [4, 4, 2] * 3
    first, second, again = ([row for rows in taken[k:k + 3] for row in rows] for k in (0, 3, 6))
    assert sorted(first) == sorted(second) == list(range(10)) and first != second and first == again


def test_the_learning_rate_reaches_the_optimizer_step_by_step(toy):
    faces, rates = toy(8), []
    trainer = Trainer(Constant(), faces, faces, replace(TOY, schedule="cosine", epochs=25, lr=1.0))
    trainer.train_epoch(24, lambda: rates.append(trainer.optimizer.param_groups[0]["lr"]))
    # 50 steps, 2 of warm-up: steps 48 and 49 are 46 and 47 of the 48 of the cosine.
    expected = [0.005 + 0.995 * (1 + np.cos(np.pi * k / 48)) / 2 for k in (46, 47)]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


@pytest.mark.parametrize("unknown", [0, 7])
def test_validation_is_the_mean_over_known_landmarks_of_all_batches(toy, unknown):
    faces = toy(70)                                                          # more than one batch of 64
    faces.landmarks[:unknown] = np.nan
    known = faces.landmarks[unknown:, 0]
    loss, error = Trainer(Constant(), toy(4), faces, TOY).validate()
    expected = (((known + 0.5) / [80, 60] - [0.25, 0.5]) ** 2).sum() / (70 * 2)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert error == pytest.approx(np.linalg.norm(known - [19.5, 29.5], axis=1).mean(), rel=1e-5)


def test_unknown_landmarks_leave_training_whole(toy):
    train, val = toy(8), toy(6, seed=1)
    train.landmarks[3] = val.landmarks[2] = np.nan
    for recipe in (TOY, replace(TOY, target="centred", loss="smooth_l1")):
        run = fit(_fresh(), train, val, recipe, progress=False)
        assert np.isfinite(run.history.to_numpy()).all() and 1 <= run.best_epoch <= 4


def test_faces_without_any_known_landmark_cannot_validate(toy):
    val = toy(3)
    val.landmarks[:] = np.nan
    with pytest.raises(ValueError, match="none of the 3 faces to validate on has a known landmark"):
        fit(_fresh(), toy(4), val, TOY, progress=False)


def test_another_start_is_another_training(toy, tmp_path):
    first = fit(_fresh(), toy(8), toy(4, seed=1), TOY, tmp_path, progress=False)
    torch.manual_seed(1)
    other = fit(NoseNet(), toy(8), toy(4, seed=1), TOY, tmp_path, progress=False)
    assert not _same(first.model, other.model) and len(list(tmp_path.glob("*.pt"))) == 4


def test_freed_memory_is_kept():
    """Ten blocks of 64 MB: the system hands out and clears every page of them anew, or once."""
    code = ("import resource, numpy as np; from fkp_utils.training.allocator import keep_freed_memory; {}\n"
            "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
            "np.ones(8_000_000); start = faults()\n"
            "for _ in range(10): np.ones(8_000_000)\n"
            "print(faults() - start)")
    default, kept = (int(subprocess.run([sys.executable, "-c", code.format(call)], capture_output=True, text=True,
                                        check=True).stdout) for call in ("", "keep_freed_memory()"))
    assert kept < 0.1 * default
