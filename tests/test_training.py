"""The training loop: it learns, resumes exactly, keeps the best epoch, survives damage."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fkp_utils.augment import Augment
from fkp_utils.models import NoseNet
from fkp_utils.profiles import Recipe
from fkp_utils.training import fit, mean_shape_loss, predict

TOY = Recipe("toy", "NoseNet", (60, 80), epochs=4, batch=4, lr=2e-3,
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
    resumed = fit(NoseNet(), train, val, recipe, tmp_path, progress=False)  # other initial weights: it must resume
    columns = ["epoch", "lr", "train_loss", "val_loss", "val_error"]
    assert whole.history[columns].equals(resumed.history[columns])
    assert _same(whole.model, resumed.model)


def test_ctrl_c_leaves_a_usable_checkpoint(toy, tmp_path):
    def interrupt(history):
        if len(history) == 3:
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        fit(_fresh(), toy(8), toy(4, seed=1), TOY, tmp_path, on_epoch=interrupt, progress=False)
    resumed = fit(NoseNet(), toy(8), toy(4, seed=1), TOY, tmp_path, progress=False)
    assert _same(resumed.model, fit(_fresh(), toy(8), toy(4, seed=1), TOY, progress=False).model)


@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.999])
def test_cut_checkpoint_falls_back_to_the_one_before(toy, tmp_path, keep):
    fit(_fresh(), toy(8), toy(4, seed=1), TOY, tmp_path, on_epoch=lambda h: len(h) < 3, progress=False)
    last = next(p for p in tmp_path.glob("*.pt") if "previous" not in p.name)
    content = last.read_bytes()
    last.write_bytes(content[:int(keep * len(content)) if isinstance(keep, float) else keep])
    resumed = fit(NoseNet(), toy(8), toy(4, seed=1), TOY, tmp_path, progress=False)
    assert _same(resumed.model, fit(_fresh(), toy(8), toy(4, seed=1), TOY, progress=False).model)


def test_another_recipe_does_not_take_up_a_checkpoint(toy, tmp_path):
    fit(_fresh(), toy(8), toy(4, seed=1), TOY, tmp_path, progress=False)
    other = fit(_fresh(), toy(8), toy(4, seed=1), replace(TOY, lr=1e-3), tmp_path, progress=False)
    assert other.history.lr.iloc[0] == 1e-3


def test_best_epoch_is_kept(toy):
    train, val = toy(8), toy(6, seed=1)
    result = fit(_fresh(), train, val, replace(TOY, epochs=8, lr=1e-2), progress=False)
    found = predict(result.model, result.target, val, 3, result.recipe)
    error = np.linalg.norm(found - val.landmarks, axis=-1).mean()
    assert error == pytest.approx(result.history.val_error.min(), rel=1e-4)
    assert result.best_epoch == result.history.val_error.idxmin() + 1


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
