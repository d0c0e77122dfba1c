"""Which GStreamer elements are installed and which properties they have. Shell over libgstreamer.

Asked by way of ctypes of the very library that OpenCV's GStreamer backend is linked to: it is there wherever that
backend is, and it answers in milliseconds, where `gst-inspect-1.0` is a package of its own and a process per question.
"""

import ctypes
from collections.abc import Sequence

from edge.cameras.gstreamer_pipelines import ELEMENTS


def known_elements(names: Sequence[str] = ELEMENTS) -> dict[str, frozenset[str]]:
    """The installed ones among `names`, each with the names of its properties; empty where there is no GStreamer.

    Makes one instance of each element and lets it go, so call it in a process that may hang in a driver.
    """
    try:
        gstreamer = _Library()
    except OSError:
        return {}
    found = {name: gstreamer.properties(name) for name in names}
    return {name: properties for name, properties in found.items() if properties is not None}


class _Library:
    """The few functions of libgstreamer and libgobject that are needed. OSError where they are not installed."""

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
        """The names of an element's properties; None where it is not installed or cannot be made."""
        made = self._gst.gst_element_factory_make(name.encode(), None)
        if not made:
            return None
        kind = ctypes.cast(made, ctypes.POINTER(ctypes.c_void_p))[0]  # an object begins with its class
        count = ctypes.c_uint()
        specifications = self._gobject.g_object_class_list_properties(kind, ctypes.byref(count))
        texts = [self._gobject.g_param_spec_get_name(specifications[number]) for number in range(count.value)]
        self._glib.g_free(specifications)
        self._gst.gst_object_unref(made)
        return frozenset(text.decode() for text in texts)
