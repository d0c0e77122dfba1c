"""Which TensorRT wrote a serialised engine, from the first bytes of the file. Pure.

Since TensorRT 8.5 the file begins with the tag `ftrt` and has the version, a byte each for major, minor, patch and
build, at bytes 24 to 27. TensorRT itself tells no more than "not compatible". Source: NVIDIA/TensorRT, issue 3073.
"""

from edge.engines.build_plan import Version, version_text

TAG = b"ftrt"
RTX_TAG = b"vtrt"  # of TensorRT-RTX, whose engines no other TensorRT reads
VERSION_AT = slice(24, 28)
HEADER_BYTES = 28
OLDEST_MAJOR = 8
CURE = "build it anew on this device with korsal-convert build"


def plan_version(header: bytes) -> Version | None:
    """Of the TensorRT that wrote it: (10, 3, 0, 26). None for what is no engine; the first HEADER_BYTES suffice."""
    if len(header) < HEADER_BYTES or not header.startswith(TAG) or header[VERSION_AT][0] < OLDEST_MAJOR:
        return None
    return tuple(header[VERSION_AT])


def plan_fault(header: bytes, version: Version) -> str:
    """Why TensorRT of this version cannot read that file, with the cure; "" if it can, as far as the header tells.

    Parts that one of the two does not have are not compared: JetPack's bindings say 10.3.0, engines 10.3.0.26.
    """
    if header.startswith(RTX_TAG):
        return f"is an engine of TensorRT-RTX; {CURE}"
    built_by = plan_version(header)
    if built_by is None:
        return f"is no TensorRT engine, or a piece of one; {CURE}"
    if any(theirs != ours for theirs, ours in zip(built_by, version, strict=False)):
        return f"was built by TensorRT {version_text(built_by)}, this device has {version_text(version)}; {CURE}"
    return ""
