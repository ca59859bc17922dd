from .base import CHART as CHART, DPI as DPI, PHONE as PHONE, Figure as Figure, for_phones as for_phones
from .charts import (
    ablation as ablation, calibration as calibration, compare_recipes as compare_recipes, error_by_view as error_by_view,
    error_curves as error_curves, loss_curves as loss_curves, region_bars as
    region_bars, trade_off as trade_off, transfer as transfer)
from .drawing import drawn_on as drawn_on
from .faces import (
    error_details as error_details, extremes as extremes, face_grid as face_grid, face_with_options as face_with_options,
    found_in_scenes as found_in_scenes, heatmap_details as heatmap_details, heatmap_overlay as heatmap_overlay,
    numbered_landmarks as numbered_landmarks, ranked_faces as ranked_faces, show_face as show_face, sketch as sketch,
    superimpose as superimpose)
from .nets import feature_maps as feature_maps, filters as filters, network as network, strongest_filters as strongest_filters
from .photos import photo_figure as photo_figure, photo_with_points as photo_with_points, teaser as teaser
