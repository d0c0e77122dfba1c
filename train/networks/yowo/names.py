"""What manifests call the networks that see a clip. Pure."""

YOWO = "yowo"
YOWO_LITE = "yowo_lite"
ORIGINAL = "yowo_original"  # with the name of its 3-D network behind it
TRAINED = (YOWO, YOWO_LITE)  # by korsal-train
NOT_TRAINED = f"is of {ORIGINAL}, which is not trained here; give another --weights"


def original_name(backbone: str) -> str:
    """What a manifest calls the published network with that 3-D backbone."""
    return f"{ORIGINAL}_{backbone}"
