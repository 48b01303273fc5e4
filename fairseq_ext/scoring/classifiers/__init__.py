"""Classifiers of embeddings: fitted, chosen on left-out training speakers, calibrated, saved.

types.py         what a kind of classifier is
linear.py, svm.py, mlp.py, boosting.py, neighbours.py, centroids.py   the kinds
scaling.py       standardised and rotated vectors
training_set.py  what choices may look at: the training utterances, and folds of whole speakers among them
choice.py        layer, pooling and settings by these folds
ensemble.py      several classifiers and layers, averaged
temperature.py   probabilities that mean what they say
fitted.py        fitted with what was chosen
saved.py         as files, without pickles
"""

from .boosting import XGBOOST
from .centroids import CENTROID
from .linear import LOGISTIC
from .mlp import MLP
from .neighbours import KNN
from .svm import SVM

CLASSIFIERS = {classifier.name: classifier for classifier in (LOGISTIC, SVM, MLP, XGBOOST, KNN, CENTROID)}
