"""Check a device before a file of gigabytes is read."""

import re

import torch


def check_device(device: str) -> None:
    """Raise ValueError for no torch device, such as "cpu" or "cuda:1", or one that torch cannot use on this machine."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter of a torch that was built without it
        found = re.split(r"\.\s|\n", str(error))[0].removesuffix(".")
        raise ValueError(
            f"device {device}: torch cannot use it on this machine ({found}); choose another, such as cpu"
        ) from error
