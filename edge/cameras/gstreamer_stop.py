"""Ends this process's GStreamer pipeline from any thread, also one that blocks. Shell over libgstreamer.

OpenCV owns its pipeline and hands it to nobody, and before 4.7 it waits for a frame without limit. But GStreamer calls
a hook for every element that is made. So the pipeline is known; set to NULL, it releases its camera and lets a blocked
`read` return, in every OpenCV.
"""

import ctypes
import threading
from typing import Any

_NULL = 1  # GST_STATE_NULL
_Pointer = ctypes.c_void_p
_Hook = ctypes.CFUNCTYPE(None, _Pointer, ctypes.c_uint64, _Pointer)


class NewestPipeline:
    """The newest pipeline made after this object. Raises OSError where there is no GStreamer with hooks."""

    def __init__(self) -> None:
        try:
            self._gst = ctypes.CDLL("libgstreamer-1.0.so.0")
            self._gobject = ctypes.CDLL("libgobject-2.0.so.0")
            self._describe()
        except AttributeError as error:
            raise OSError(f"this GStreamer has no hooks ({error})") from error
        self._gst.gst_init(None, None)
        self._kind = self._gst.gst_pipeline_get_type()
        self._pipeline: int | None = None  # with a reference of its own
        self._lock = threading.Lock()
        self._hook = _Hook(self._made)  # kept: GStreamer calls it until the process ends
        owner = self._gst.gst_pipeline_new(b"hooks")
        self._gst.gst_tracing_register_hook(owner, b"element-new", ctypes.cast(self._hook, _Pointer))

    def stop(self) -> None:
        """Set it to NULL, and keep it; blocks for as long as an element does."""
        with self._lock:
            pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            self._gst.gst_element_set_state(pipeline, _NULL)

    def _made(self, owner: Any, when: int, element: int) -> None:
        if not self._gobject.g_type_check_instance_is_a(element, self._kind):
            return
        self._gst.gst_object_ref(element)
        with self._lock:
            former, self._pipeline = self._pipeline, element
        if former is not None:  # released by now: a file that is played again has a pipeline each time
            self._gst.gst_object_unref(former)

    def _describe(self) -> None:
        gst, gobject = self._gst, self._gobject
        gst.gst_init.argtypes = [_Pointer, _Pointer]
        gst.gst_pipeline_get_type.restype = ctypes.c_size_t
        gst.gst_pipeline_new.argtypes, gst.gst_pipeline_new.restype = [ctypes.c_char_p], _Pointer
        gst.gst_tracing_register_hook.argtypes = [_Pointer, ctypes.c_char_p, _Pointer]
        gst.gst_tracing_register_hook.restype = None
        gst.gst_object_ref.argtypes, gst.gst_object_ref.restype = [_Pointer], _Pointer
        gst.gst_object_unref.argtypes = [_Pointer]
        gst.gst_element_set_state.argtypes = [_Pointer, ctypes.c_int]
        gobject.g_type_check_instance_is_a.argtypes = [_Pointer, ctypes.c_size_t]
