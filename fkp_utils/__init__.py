"""Facial keypoint detection: data, augmentation, models, training and figures for five notebooks."""
