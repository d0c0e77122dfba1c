"""Ends this process's GStreamer pipelines from any thread, also those that block. Shell over libgstreamer.

OpenCV owns its pipeline and hands it to nobody, and before 4.7 it waits for a frame without limit. But GStreamer calls
a hook for every element that is made. So the pipelines are known, and one that is set to NULL releases its camera and
lets a blocked `read` return, in every OpenCV.
"""

import ctypes
from typing import Any

_NULL = 1  # GST_STATE_NULL
_Pointer = ctypes.c_void_p
_Hook = ctypes.CFUNCTYPE(None, _Pointer, ctypes.c_uint64, _Pointer)


class Pipelines:
    """The pipelines made after this object. Raises OSError where there is no GStreamer with hooks."""

    def __init__(self) -> None:
        try:
            self._gst = ctypes.CDLL("libgstreamer-1.0.so.0")
            self._gobject = ctypes.CDLL("libgobject-2.0.so.0")
            self._describe()
        except AttributeError as error:
            raise OSError(f"this GStreamer has no hooks ({error})") from error
        self._gst.gst_init(None, None)
        self._kind = self._gst.gst_pipeline_get_type()
        self._pipelines: list[int] = []
        self._hook = _Hook(self._made)  # kept: GStreamer calls it until the process ends
        owner = self._gst.gst_pipeline_new(b"hooks")
        self._gst.gst_tracing_register_hook(owner, b"element-new", ctypes.cast(self._hook, _Pointer))

    def stop(self) -> None:
        """Set them all to NULL; blocks for as long as an element does."""
        for pipeline in self._pipelines:
            self._gst.gst_element_set_state(pipeline, _NULL)

    def _made(self, owner: Any, when: int, element: int) -> None:
        if self._gobject.g_type_check_instance_is_a(element, self._kind):
            self._gst.gst_object_ref(element)
            self._pipelines.append(element)

    def _describe(self) -> None:
        gst, gobject = self._gst, self._gobject
        gst.gst_init.argtypes = [_Pointer, _Pointer]
        gst.gst_pipeline_get_type.restype = ctypes.c_size_t
        gst.gst_pipeline_new.argtypes, gst.gst_pipeline_new.restype = [ctypes.c_char_p], _Pointer
        gst.gst_tracing_register_hook.argtypes = [_Pointer, ctypes.c_char_p, _Pointer]
        gst.gst_tracing_register_hook.restype = None
        gst.gst_object_ref.argtypes, gst.gst_object_ref.restype = [_Pointer], _Pointer
        gst.gst_element_set_state.argtypes = [_Pointer, ctypes.c_int]
        gobject.g_type_check_instance_is_a.argtypes = [_Pointer, ctypes.c_size_t]
