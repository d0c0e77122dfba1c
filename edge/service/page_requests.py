"""The daemon's answers to its live page: what can be tuned, and changes of it. Shell."""

from collections.abc import Mapping
from typing import Any

from edge.config import store as config_store
from edge.config.actions import keep_score_follows
from edge.config.config_file import fingerprint
from edge.config.edit import combined
from edge.config.schema import CameraConfig, Config
from edge.event_settings import KEEP_RATIO, EventSettings
from edge.service.reload import ReloadableConfig
from edge.service.settings import all_pipeline_settings

REQUESTED_BY = "the live page"


class PageRequestHandler:
    """Answers between two frames. `start_scores`: the model's, by action."""

    def __init__(self, running: ReloadableConfig, start_scores: Mapping[str, float]) -> None:
        self._running, self._start_scores = running, start_scores
        self._described: tuple[Config, str] | None = None  # a configuration and its fingerprint

    @property
    def revision(self) -> str:
        """Another one whenever another configuration is in force."""
        config = self._running.config
        if self._described is None or self._described[0] is not config:
            self._described = (config, fingerprint(config))
        return self._described[1]

    def answer(self, op: str, data: Mapping[str, Any]) -> dict[str, object]:
        """The answer to a question of the page's process."""
        if op == "settings":
            return self._settings()
        if op == "change":
            return {"problems": list(self._change(data)), "revision": self.revision}
        return {"problems": [f"unknown request {op[:64]}"]}

    def _settings(self) -> dict[str, object]:
        running, config = self._running, self._running.config
        events = {name: one.events for name, one in all_pipeline_settings(config, self._start_scores).items()}
        return {
            "revision": self.revision,
            "labels": list(running.labels),
            "keep_ratio": KEEP_RATIO,
            "allowed": config.web.allow_changes,
            "file": running.path is not None and config_store.can_store(running.path),
            "unsaved": bool(running.unsaved),
            "cameras": {name: self._camera(config, name, events[name]) for name in config.cameras},
        }

    def _camera(self, config: Config, name: str, events: EventSettings) -> dict[str, object]:
        table: CameraConfig = config.cameras[name]
        rules = {label: events.for_action(label) for label in self._running.labels}
        return {
            "actions": {
                label: {
                    "start_score": one.start_score,
                    "keep_score": one.keep_score,
                    "keep_follows": keep_score_follows(config.actions, label, table.actions),
                    "min_duration": one.min_duration,
                    "cooldown": one.cooldown,
                    "limited": bool(one.required_zones) or one.min_area > 0 or one.max_area < 1,
                }
                for label, one in rules.items()
            },
            "zones": {
                zone: {"points": one.points, "min_duration": one.min_duration} for zone, one in events.zones.items()
            },
            "mask": table.mask,
        }

    def _change(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        changes = data.get("changes")
        if not self._running.config.web.allow_changes:
            return ("[web] allow_changes is false: set it to true in config.toml to change settings here",)
        if not isinstance(changes, dict):
            return ("changes: should be a table",)
        if data.get("save") is True:
            return self._running.save(combined(self._running.unsaved, changes), REQUESTED_BY)
        return self._running.apply(changes, REQUESTED_BY)
