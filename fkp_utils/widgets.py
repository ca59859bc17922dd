"""Things to play with in a notebook: sliders and buttons that redraw a figure.

Each function returns a `Panel`. In JupyterLab it reacts; where no front end is attached (papermill, nbviewer, GitHub)
its current picture is shown instead.
"""

import asyncio
import base64
import html
import io
import threading
from collections.abc import Callable, Sequence

import ipywidgets as ipw
import numpy as np
import pandas as pd
import torch
from IPython.display import DisplayHandle, display
from PIL import Image
from torch import nn

from . import morph, plotting, predict
from .augment import flip, to_float, turn_and_scale, warp
from .datasets import FaceDataset, IBugFaces, IMMFaces
from .datasets.images import read_photo
from .errors import DatasetError
from .landmarks import Convention
from .metrics import nme, region_errors
from .nets.heatmaps import argmax
from .nets.recipe import Recipe
from .nets.trained import Trained
from .plotting import Figure
from .training.loop import fit

DENSITY = 2                              # pixels of a picture for each of the screen's: sharp on good screens
PATIENCE = 0.3                           # seconds after which a panel says that it is at work


def png(fig: Figure) -> bytes:
    """A figure as PNG of twice the density."""
    file = io.BytesIO()
    fig.savefig(file, format="png", facecolor="white", dpi=DENSITY * plotting.DPI)
    return file.getvalue()


class Panel(ipw.VBox):
    """Controls and a note above a picture that `draw` makes from the controls' values.

    draw : called with each control's value by name; returns a Figure, or None where there is nothing to see
    controls : ipywidgets with a `value`, by the name of draw's argument
    """

    children: Sequence[ipw.Widget]

    def __init__(self, draw: Callable[..., Figure | None], **controls: ipw.Widget):
        self.draw, self.controls = draw, controls
        # The picture at its natural size, never stretched; smaller where the window is.
        natural = ipw.Layout(height="auto", max_width="100%", object_fit="contain", align_self="flex-start")
        self.picture, self.note, self.busy = ipw.Image(format="png", layout=natural), ipw.HTML(), ipw.HTML()
        for control in controls.values():
            control.observe(lambda change: self.refresh(), "value")
        super().__init__([ipw.HBox(list(controls.values()), layout=ipw.Layout(flex_flow="row wrap")), self.note, self.busy,
                          self.picture])
        self.refresh()

    def refresh(self) -> None:
        """Draw again with the controls' values; what takes longer than `PATIENCE` says so meanwhile."""
        timer = threading.Timer(PATIENCE, lambda: setattr(self.busy, "value", "working &hellip;"))
        timer.start()
        try:
            fig = self.draw(**{name: control.value for name, control in self.controls.items()})
        finally:
            timer.cancel()
            timer.join()
            self.busy.value = ""
        self.picture.layout.display = None if fig else "none"
        fig = fig or Figure((6, 0.3), label="no picture yet")            # where no widget can hide it
        self.picture.layout.width = f"{round(fig.get_figwidth() * plotting.DPI)}px"
        self.picture.value, self.told = png(fig), fig._repr_mimebundle_()[1]

    def tell(self, text: str) -> None:
        """Say something above the picture: plain text, which may come from a file's name."""
        self.note.value = html.escape(text)

    def _repr_mimebundle_(self, **kwargs):
        """What a front end without widgets shows, and its alt text: the picture, small enough to be kept in a notebook."""
        live, file = super()._repr_mimebundle_(**kwargs) or {}, io.BytesIO()
        with Image.open(io.BytesIO(self.picture.value)) as image:
            image.convert("RGB").reduce(DENSITY).save(file, format="jpeg", quality=80)
        return {**live, "text/plain": "interactive panel", "image/jpeg": base64.b64encode(file.getvalue()).decode()}, self.told


def _slider(low: float, high: float, value: float, label: str, step: float = 1) -> ipw.Widget:
    make = ipw.IntSlider if isinstance(step, int) else ipw.FloatSlider
    return make(value=value, min=low, max=high, step=step, description=label, continuous_update=False,
                style={"description_width": "initial"}, layout=ipw.Layout(width=f"{240 + 8 * len(label)}px", max_width="100%"))


def dataset_browser(studio: IMMFaces, wild: IBugFaces) -> Panel:
    """Look through both datasets: 58 landmarks of people and views, or 68 of faces from the web."""
    people = {number: k for k, number in enumerate(sorted({studio.person(i) for i in range(len(studio))}))}
    index = {(people[studio.person(i)], studio.view(i)): i for i in range(len(studio))}

    def draw(convention, person, view, face, landmarks, numbers):
        faces = studio if convention == 58 else wild
        k = index[person - 1, view] if convention == 58 else face - 1
        for name, slider in sliders.items():                  # only those that this dataset has
            slider.layout.display = None if (name == "face") == (convention == 68) else "none"
        return plotting.face_with_options(faces.images[k], faces.landmarks[k], faces.convention, landmarks, numbers,
                                          faces.names[k])

    sliders = {"person": _slider(1, len(people), 1, "person"), "view": _slider(1, 6, 1, "view"),
               "face": _slider(1, len(wild), 1, "face")}
    return Panel(draw, convention=ipw.Dropdown(options=[("58 (IMM)", 58), ("68 (iBUG)", 68)], description="landmarks"),
                 **sliders, landmarks=ipw.Checkbox(True, description="show landmarks"),
                 numbers=ipw.Checkbox(False, description="numbers"))


def augmentation_playground(faces: FaceDataset, index: int = 0) -> Panel:
    """Turn, shift, enlarge, relight and mirror one face: before and after, landmarks and all."""
    images, landmarks = faces.batch([index])

    def draw(rotation, shift, scale, brightness, mirror):
        changed, points = flip(to_float(images), landmarks, landmarks.new_tensor([mirror], dtype=torch.bool), faces.convention)
        matrix = turn_and_scale(landmarks.new_tensor([rotation]), landmarks.new_tensor([scale]))
        changed, points = warp(changed, points, matrix, landmarks.new_tensor([[shift * faces.size[1], 0]]))
        after = (255 * (changed + brightness + 0.5).clamp(0, 1)).byte()
        return plotting.face_grid([faces.images[index], after[0, 0].numpy()], [landmarks[0].numpy(), points[0].numpy()],
                                  titles=["before", "after"], columns=2, convention=faces.convention)

    return Panel(draw, rotation=_slider(-45, 45, 15, "rotation, degrees"),
                 shift=_slider(-0.3, 0.3, 0.05, "shift, widths", 0.01), scale=_slider(0.6, 1.5, 1.1, "scale", 0.05),
                 brightness=_slider(-0.4, 0.4, 0.1, "brightness", 0.05), mirror=ipw.Checkbox(True, description="mirror"))


class Interrupted(asyncio.CancelledError):
    """An interrupted kernel's: the cell fails, so that those below do not run, and IPython shows its message alone."""

    def _render_traceback_(self) -> list[str]:
        return [f"Interrupted: {self}"]


class LiveTraining(Panel):
    """A training that draws its curves while it runs, with a button that ends it after the current epoch.

    Once it has ended, what is shown without widgets, and kept in the notebook's file, is its last picture. One that is taken up
    finished from a checkpoint is drawn from its history.

    `fit` runs in a thread of its own. `await live.finished()` gives its result and lets the kernel handle the button meanwhile,
    as ipykernel 7.4 does in cells that await; `wait()` blocks. Arguments as `fit`'s.
    """

    def __init__(self, model: nn.Module, train: FaceDataset, val: FaceDataset, recipe: Recipe, checkpoints=None):
        self.history: pd.DataFrame | None = None
        self.result: Trained | None = None
        self.error: BaseException | None = None
        self._shown: DisplayHandle | None = None
        self.button = ipw.Button(description="stop after this epoch", icon="stop", layout=ipw.Layout(width="max-content"))
        super().__init__(lambda: None if self.history is None else plotting.loss_curves(self.history, title=recipe.title))
        self.children = [self.button, *self.children]
        self.button.on_click(lambda button: self.stop())
        self._thread = threading.Thread(target=self._run, args=(model, train, val, recipe, checkpoints), daemon=True)
        self._thread.start()

    def _run(self, model, train, val, recipe, checkpoints) -> None:
        try:
            self.result = run = fit(model, train, val, recipe, checkpoints, on_epoch=self._on_epoch, progress=False)
            if self.history is None:                      # taken up finished: there was no epoch
                self._on_epoch(run.history)
            self.tell(f"ended after epoch {len(run.history)}; best: {run.best_epoch}")
        except BaseException as error:                    # the thread must not die silently: `wait` raises it
            self.error = error
            self.tell(f"failed: {error}")

    def _on_epoch(self, history) -> bool:
        self.history = history
        self.refresh()
        return not self.button.disabled

    def _ipython_display_(self) -> None:
        self._shown = display(self._repr_mimebundle_()[0], metadata=self.told, raw=True, display_id=True)

    def stop(self) -> None:
        """End the training after the current epoch."""
        self.button.disabled = True                       # `_on_epoch` looks at it

    async def finished(self) -> Trained:
        """The result, once it is there; as `wait`, but the kernel goes on with messages from the front end."""
        try:
            while self._thread.is_alive():
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:                    # what interrupting the kernel raises here
            self.stop()
            raise Interrupted("the training ends after this epoch; `wait()` gives its result") from None
        return self.wait()

    def wait(self) -> Trained:
        """The result, once it is there; raises what `fit` raised. Ctrl-C here ends the training, too, after its epoch."""
        try:
            self._thread.join()
        except KeyboardInterrupt:
            self.stop()
            raise
        if self.result is None:
            raise self.error or RuntimeError("the training has no result")
        if self._shown:
            self._shown.update(self._repr_mimebundle_()[0], metadata=self.told, raw=True)
        return self.result


def error_explorer(faces: FaceDataset, predicted: np.ndarray) -> Panel:
    """Step through faces from the worst to the best: truth, prediction (N, n, 2), and the error of each region."""
    errors = nme(predicted, faces.landmarks, faces.convention)
    order = plotting.extremes(errors, len(errors), worst=True)

    def draw(rank):
        k = order[rank - 1]
        bars = region_errors(predicted[k:k + 1], faces.landmarks[k:k + 1], faces.convention)
        title = f"{faces.names[k].rsplit('/', 1)[-1]}: {errors[k]:.1f} %, number {rank} of {len(errors)}"
        return plotting.error_details(faces.images[k], faces.landmarks[k], predicted[k], bars, title, faces.convention, limit)

    # The bars' axis is the same for all faces, so that a better one looks better.
    limit = max(max(region_errors(p[None], t[None], faces.convention).values()) for p, t in zip(predicted, faces.landmarks))
    return Panel(draw, rank=_slider(1, len(errors), 1, "from the worst (1) to the best"))


def heatmap_explorer(run: Trained, faces: FaceDataset, count: int = 8) -> Panel:
    """Where a heatmap net sees each landmark of the first faces: the map, its brightest pixel, and the point read off it."""
    images, _ = faces.batch(np.arange(min(count, len(faces))))
    answers, stride, names = run.logits(images), run.recipe.stride, run.convention.names
    maps, points = run.heatmap_target.heatmaps(answers), run.target.decode(answers).numpy()
    peaks = (argmax(maps).numpy() + 0.5) * stride - 0.5

    def draw(face, landmark):
        title = f"landmark {landmark} ({names[landmark]}): highest value {maps[face, landmark].max():.3f}"
        return plotting.heatmap_details(faces.images[face], maps[face, landmark].numpy(), peaks[face, landmark],
                                        points[face, landmark], title)

    return Panel(draw, face=_slider(0, len(images) - 1, 0, "face"),
                 landmark=_slider(0, maps.shape[1] - 1, maps.shape[1] // 2 - 4, "landmark"))


def own_photo(example: np.ndarray) -> Panel:
    """Upload a photo: faces are found, landmarks or the largest one's heatmaps drawn; first of `example` (h, w, 3)."""
    def draw(upload, show):
        try:
            photo = read_photo(io.BytesIO(bytes(upload[0]["content"]))) if upload else example
        except DatasetError as error:
            panel.tell(f"{upload[0]['name']}: {str(error).partition(': ')[2]}")
            return None
        faces = predict.landmarks(photo)
        if panel is not None:
            panel.tell(f"{len(faces)} face(s) found" + "".join(f", confidence {face.confidence:.2f}" for face in faces))
        if show == "heatmaps" and faces:
            return plotting.heatmap_overlay(*predict.face_heatmaps(photo, faces[0].box, roll=faces[0].roll))
        return predict.draw(photo, faces)

    panel = None
    hint = ipw.HTML("up to 200 MB where JupyterLab was started with <code>make lab</code>, else 10 MB; larger ones, and many "
                    "at once: put them into <code>data/personal/</code>")
    panel = Panel(draw, upload=ipw.FileUpload(accept="image/*", multiple=False),
                  show=ipw.ToggleButtons(options=["landmarks", "heatmaps"], style={"button_width": "max-content"}))
    panel.children = [panel.children[0], hint, *panel.children[1:]]
    return panel


def submission_explorer(images: np.ndarray, points: np.ndarray, confidences: np.ndarray, convention: Convention) -> Panel:
    """Faces without known landmarks, from the one that a net is least sure of to the surest.

    images : uint8 (N, h, w); points : (N, n, 2) in their pixels; confidences : (N,), 1 where the mirror image says the same
    """
    order = np.argsort(confidences, kind="stable")

    def draw(rank):
        k = order[rank - 1]
        title = f"face {k}, confidence {confidences[k]:.2f}: number {rank} of {len(order)}"
        return plotting.face_with_options(images[k], None, convention, True, False, title, points[k])

    return Panel(draw, rank=_slider(1, len(order), 1, "from the least sure (1) to the surest"))


def morph_slider(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> Panel:
    """One face turned into another; each a picture and its landmarks, as `morph.aligned` gives them."""
    def draw(share, landmarks):
        shape = (1 - share) * first[1] + share * second[1]
        return plotting.photo_with_points(morph.to_bytes(morph.between(first, second, share)), shape if landmarks else None,
                                          alt=f"{1 - share:.0%} of the first face and {share:.0%} of the second")

    return Panel(draw, share=_slider(0.0, 1.0, 0.5, "share of the second face", 0.05),
                 landmarks=ipw.Checkbox(False, description="show landmarks"))


def layer_explorer(model: nn.Module, faces: FaceDataset) -> Panel:
    """Filters and feature maps of any convolution of a net, for any face."""
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)}

    def draw(layer, face):
        seen = {}
        hook = layers[layer].register_forward_hook(lambda module, inputs, output: seen.update(maps=output[0]))
        with hook, torch.no_grad():
            model.eval()(to_float(faces.batch([face])[0]).to(next(model.parameters()).device))
        weight = layers[layer].weight.detach().float().cpu().numpy()
        maps = seen["maps"].float().cpu().numpy()
        return plotting.feature_maps(faces.images[face], maps, weight, f"{layer}: {layers[layer]}")

    return Panel(draw, layer=ipw.Dropdown(options=list(layers), description="layer"),
                 face=_slider(0, len(faces) - 1, 0, "face"))
