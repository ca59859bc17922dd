from .base import DPI, Figure
from .charts import (
    ablation, calibration, compare_recipes, error_by_view, error_curves, loss_curves, recipes_compared, region_bars,
    trade_off, transfer)
from .drawing import drawn_on
from .faces import (
    error_details, extremes, face_grid, face_with_options, found_in_scenes, heatmap_details, heatmap_overlay,
    numbered_landmarks, ranked_faces, show_face, superimpose)
from .nets import feature_maps, filters, network, strongest_filters
from .photos import photo_figure, photo_with_points, teaser
