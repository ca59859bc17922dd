"""Checks for the pieces that the notebooks ask for, one module a part of the course.

As in `exercises`, a check says right, not yet, or wrong, and for the usual mistakes which one; it never raises.
"""

from .augmenting import check_average, check_he, check_matrix, check_warp
from .heatmaps import check_convolutions, check_cross_entropy, check_level
from .kaggle import bootstrap_interval, check_interval, check_pyramid
from .nets import check_net, check_nose_net
from .residual import basic_block, check_batch_norm, check_residual_block, check_square, check_to_crop
from .training import check_dataset, check_epoch, check_step, check_validation, matched, when_right
