"""Registered criterions. Their logging outputs are sums and counts, so any number of ranks adds up.

Importing this package registers all of them with fairseq.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
