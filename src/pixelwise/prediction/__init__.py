"""Images, folders and patterns -> class ids, masks and overlays."""

from pixelwise.prediction.predict import PredictSummary, Problem, predict_paths
from pixelwise.prediction.segmenter import Prediction, Segmenter

__all__ = ["PredictSummary", "Prediction", "Problem", "Segmenter", "predict_paths"]
