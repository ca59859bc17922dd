"""The project's colours in one place: figures, widgets, page, demo and drawn photos take them from here.

From M. Okabe and K. Ito's set ("Color universal design", 2008), which people with any kind of colour blindness can tell
apart; truth and prediction have different marks, too (a dot and a cross).
"""

TRUTH, PREDICTION = "#56b4e9", "#ffa014"         # on faces: sky blue and orange, light enough for dark photos
LINE, BOX = "#7df9ff", "#ffd43b"                 # drawn on photos: the lines between landmarks, and boxes
NUMBER = "#ffe066"                               # landmarks' numbers

# Charts, on light and on dark paper. matplotlib draws with the light ones; the page's SVG follows the reader's scheme. Blue and
# orange are other ones than truth's and prediction's.
CHART = {"ink": ("#1d2430", "#e4e7ec"), "soft": ("#5b6678", "#a4aebd"), "grid": ("#d5d8d2", "#343c48"),
         "paper": ("#ffffff", "#14171c"), "blue": ("#0072b2", "#8fa8ff"), "orange": ("#c4560a", "#f58a66"),
         "green": ("#007a59", "#3ecfa4"), "purple": ("#a24f80", "#e8a6cc")}
INK, SOFT, GRID, PAPER, BLUE, ORANGE, GREEN, PURPLE = (light for light, dark in CHART.values())
SERIES = (BLUE, ORANGE, GREEN, PURPLE)
RECIPES = {"mean": "soft", "writeup": "purple", "improved": "green"}          # in charts, tables and bars
MEAN, WRITEUP, IMPROVED = (CHART[name][0] for name in RECIPES.values())


def css() -> str:
    """The charts' colours as CSS custom properties, for both schemes."""
    light, dark = ("".join(f"--{name}:{colours[k]};" for name, colours in CHART.items()) for k in (0, 1))
    return f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
