"""The training step itself, in every form that this machine offers, and whether the fastest learns as well.

    python bench/speed/step.py [--no-learning]

Forms: float32, channels_last, bfloat16 autocast, both, and both compiled where there is a compiler. The second table
trains short versions of Parts 2 to 4 with float32 and with the fastest form, for three seeds: the difference must lie
within the spread over seeds. About ten minutes on 2 cores, on embedded faces.
"""

import argparse
import shutil
from dataclasses import replace

import numpy as np
import torch
from tables import publish, side_by_side

from fkp_utils.datasets import EMBEDDED
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.targets import make_target
from fkp_utils.nets.trained import default_device, forward, has_bf16, laid_out, new_model
from fkp_utils.profiles import recipe
from fkp_utils.train import faces_for
from fkp_utils.training.loop import fit

# Recipe of the profile `full`: faces a step here, landmarks.
STEPS = {"nose": (1, 1), "face": (1, 58), "resnet": (32, 68), "unet": (4, 68), "pyramid": (16, 68)}
SHORT = {"face_improved": {"epochs": 3},
         "resnet_improved": {"size": (64, 64), "width": 64, "epochs": 6, "lr": 1e-3, "ema": 0.98},
         "unet_improved": {"size": (64, 64), "epochs": 4}}


def forms(chosen: Recipe) -> dict[str, tuple[Recipe, bool]]:
    """Name: the recipe in that form, and whether its net is compiled."""
    plain = replace(chosen, channels_last=False, bf16=False)
    last = replace(plain, channels_last=True)
    found = {"float32": (plain, False), "channels_last": (last, False)}
    if has_bf16(default_device()):
        found |= {"bfloat16": (replace(plain, bf16=True), False), "bfloat16, channels_last": (replace(last, bf16=True), False)}
    if shutil.which("c++") or torch.cuda.is_available():
        found["the profile's, compiled"] = (chosen, True)
    return found


def step(model, optimizer, target, images: torch.Tensor, landmarks: torch.Tensor, chosen: Recipe) -> torch.Tensor:
    """One training step and nothing else: images (b, 1, h, w) and landmarks (b, n, 2) are ready. The loss."""
    optimizer.zero_grad(set_to_none=True)
    loss = target.loss(forward(model, images, chosen), landmarks)
    loss.backward()
    optimizer.step()
    return loss.detach()


def repeats(batch: int) -> int:
    """Steps that are timed as one: a single face's are too short."""
    return 20 if batch == 1 else 1


def stepper(chosen: Recipe, compiled: bool, batch: int, points: int):
    """A function that does `repeats(batch)` training steps."""
    device = default_device()
    model = laid_out(new_model(chosen).to(device), chosen).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    run = torch.compile(model) if compiled else model
    images = torch.rand(batch, 1, *chosen.size, device=device) - 0.5
    landmarks = torch.rand(batch, points, 2) * torch.tensor(chosen.size[::-1])
    target, landmarks = make_target(chosen, landmarks), landmarks.to(device)

    def steps():
        for _ in range(repeats(batch)):
            loss = step(run, optimizer, target, images, landmarks, chosen)
        return float(loss)
    return steps


def learning(name: str, fields: dict) -> list[dict]:
    """Validation NME of three seeds in float32 and in the fastest form."""
    root, rows = EMBEDDED, []
    chosen = replace(recipe("quick", name), **fields)
    for words, fast in (("float32", False), ("bfloat16, channels_last", True)):
        form = replace(chosen, bf16=fast, channels_last=fast)
        found = []
        for seed in range(3):
            seeded = replace(form, seed=seed)
            train, val = faces_for(seeded, root)
            found.append(val.scores(fit(new_model(seeded), train, val, seeded).predict(val))["nme"])
        rows.append({"recipe": f"{chosen.title}, {chosen.size[0]} px, {chosen.epochs} epochs", "step": words,
                     "NME of seeds 0, 1, 2, %": ", ".join(f"{nme:.2f}" for nme in found), "mean": f"{np.mean(found):.2f}",
                     "spread": f"{np.ptp(found):.2f}"})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-learning", action="store_true")
    options = parser.parse_args()
    rows = []
    for name, (batch, points) in STEPS.items():
        chosen = recipe("full", name)
        ways = forms(chosen)
        took = side_by_side({form: stepper(*how, batch, points) for form, how in ways.items()}, 3)
        for form, seconds in took.items():
            rows.append({"recipe": chosen.title, "faces a step": batch, "form": form,
                         "ms a face": round(1000 * seconds / batch / repeats(batch), 2),
                         "times as fast as float32": f"{took['float32'] / seconds:.2f}",
                         "used by `full`": "yes" if ways[form] == (chosen, False) else ""})
    publish("step", "One training step, by number format and memory layout", rows)
    if not options.no_learning:
        publish("step_learning", "Does the faster step learn as well?",
                [row for name, fields in SHORT.items() for row in learning(name, fields)])


if __name__ == "__main__":
    main()
