"""Check a device before a file of gigabytes is read."""

import re

import torch


def check_device(device: str) -> None:
    """Check that torch can use a device.

    Args:
        device: torch device, such as "cpu", "cuda" or "cuda:1".

    Raises:
        ValueError: no torch device of that name, or torch cannot use it on this machine.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter of a torch that was built without it
        found = re.split(r"\.\s|\n", str(error))[0].removesuffix(".")
        raise ValueError(
            f"device {device}: torch cannot use it on this machine ({found}); choose another, such as cpu"
        ) from error
