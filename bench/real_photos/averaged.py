"""The net halfway between where a training began and where it ended.

    PYTHONPATH=. python bench/real_photos/averaged.py START.safetensors END.safetensors OUT.safetensors
"""

import argparse
from pathlib import Path

from fkp_utils.nets.trained import Trained
from fkp_utils.nets.weights import load_weights, save_weights


def averaged(run: Trained, start: Path) -> Trained:
    """The net, in place, with the mean of its weights and those in `start`; ValueError where that is another kind of net.

    Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022: what the training forgot of its start is half kept.
    """
    begun, state = load_weights(start), run.model.state_dict()
    kinds = [f"{net.recipe.net} of width {net.recipe.width}" for net in (begun, run)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"{start}: a {kinds[0]}, and no mean of it and a {kinds[1]}")
    before = begun.model.state_dict()
    run.model.load_state_dict({name: value.lerp(before[name].to(value), 0.5) if value.is_floating_point() else value
                               for name, value in state.items()})
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("start", "end", "out"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    save_weights(options.out, averaged(load_weights(options.end), options.start))


if __name__ == "__main__":
    main()
