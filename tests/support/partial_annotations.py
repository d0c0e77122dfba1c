"""Annotations of a part of a video."""


def task(start: int | None, stop: int | None, step: str = "", size: int | None = None, more: str = "") -> str:
    def tag(name: str, value: object) -> str:
        return "" if value is None else f"<{name}>{value}</{name}>"

    known = tag("size", size) + tag("start_frame", start) + tag("stop_frame", stop)
    return f"<meta><task>{known}<frame_filter>{step}</frame_filter>{more}<source>one.mp4</source></task></meta>"
