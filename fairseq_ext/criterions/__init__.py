"""Registered criterions. Their logging outputs are sums and counts, so any number of ranks adds up.

<<<<<<< HEAD
Importing this package registers all of them with fairseq.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
=======
from . import (  # noqa: F401
    accent_triplet,
    contrastive_diversity,
    ctc,
    ctc_attention,
    masked_units,
    nt_xent,
    utterance_classification,
)
>>>>>>> av-ctc
