"""The corpora of emotional speech."""

from . import crema_d, iemocap, ravdess
from .speech_corpora import Family

# RAVDESS: 6 folds of 4 actors, 2 of each gender.
EMOTIONS = Family(
    "emotion", {"ravdess": ravdess, "crema_d": crema_d, "iemocap": iemocap}, num_folds={"ravdess": 6}
)
