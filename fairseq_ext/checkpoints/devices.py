"""Check a device before a file of gigabytes is read."""

import re

import torch


def check_device(device: str) -> None:
    """Check that torch can use a device.

    Args:
        device: torch device, such as "cpu", "cuda" or "cuda:1".

    Raises:
        ValueError: torch knows no such device, or cannot use it on this machine.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter of a torch that was built without it
        found = re.split(r"\.\s|\n", str(error))[0].removesuffix(".")
        raise ValueError(
            f"device {device}: one that torch can use on this machine expected, found none ({found}); use the "
            "device cpu"
        ) from error
