"""Which GStreamer elements are installed, and which properties they have. Shell over libgstreamer.

Queries the library that OpenCV's GStreamer backend links to, through ctypes: it is installed wherever that backend is,
and answers in milliseconds, whereas `gst-inspect-1.0` is a separate package and needs a process for each query.
"""

import ctypes
from collections.abc import Sequence

from edge.cameras.gstreamer_pipelines import ELEMENTS


def known_elements(names: Sequence[str] = ELEMENTS) -> dict[str, frozenset[str]]:
    """The installed elements among `names`, with their properties' names; empty where there is no GStreamer.

    Creates an instance of each element, so call it in a process that may hang in a driver.
    """
    try:
        gstreamer = _Library()
    except OSError:
        return {}
    found = {name: gstreamer.properties(name) for name in names}
    return {name: properties for name, properties in found.items() if properties is not None}


class _Library:
    """The functions of libgstreamer and libgobject that are needed. Raises OSError where they are not installed."""

    def __init__(self) -> None:
        self._gst = ctypes.CDLL("libgstreamer-1.0.so.0")
        self._gobject = ctypes.CDLL("libgobject-2.0.so.0")
        self._glib = ctypes.CDLL("libglib-2.0.so.0")
        pointer = ctypes.c_void_p
        self._gst.gst_init.argtypes = [pointer, pointer]
        self._gst.gst_element_factory_make.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        self._gst.gst_element_factory_make.restype = pointer
        self._gst.gst_object_unref.argtypes = [pointer]
        self._gobject.g_object_class_list_properties.argtypes = [pointer, ctypes.POINTER(ctypes.c_uint)]
        self._gobject.g_object_class_list_properties.restype = ctypes.POINTER(pointer)
        self._gobject.g_param_spec_get_name.argtypes = [pointer]
        self._gobject.g_param_spec_get_name.restype = ctypes.c_char_p
        self._glib.g_free.argtypes = [pointer]
        self._gst.gst_init(None, None)

    def properties(self, name: str) -> frozenset[str] | None:
        """The names of an element's properties; None where it is not installed or cannot be created."""
        element = self._gst.gst_element_factory_make(name.encode(), None)
        if not element:
            return None
        kind = ctypes.cast(element, ctypes.POINTER(ctypes.c_void_p))[0]  # an object begins with its class
        count = ctypes.c_uint()
        specifications = self._gobject.g_object_class_list_properties(kind, ctypes.byref(count))
        texts = [self._gobject.g_param_spec_get_name(specifications[number]) for number in range(count.value)]
        self._glib.g_free(specifications)
        self._gst.gst_object_unref(element)
        return frozenset(text.decode() for text in texts)
