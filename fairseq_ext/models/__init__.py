"""Registered models, one file each; importing this package registers all of them with fairseq."""

import importlib
import pkgutil

from .. import compat  # noqa: F401 - its fixes come before the first model

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
