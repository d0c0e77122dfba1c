"""The configuration in force, and its reload from the file. Shell.

A reload is requested by SIGHUP or over MQTT. It applies what can change at once and names what waits for a restart; a
file with any mistake changes nothing.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from edge.cameras.video_file import CaptureError
from edge.config.config_file import ConfigError, load
from edge.config.schema import Config
from edge.service.reload_rules import changes, describe, needs_restart, reloadable
from edge.service.settings import unknown_actions

log = logging.getLogger(__name__)


class ReloadableConfig:
    """The configuration in force, which `reload` replaces."""

    def __init__(
        self,
        config: Config,
        path: Path | None,
        labels: Sequence[str],
        apply: Callable[[Config], None],
        announce: Callable[[], None],
    ) -> None:
        """`path`: its file, None where there is none to reload; `labels`: the model's.

        `apply`: puts a configuration in force, or raises CaptureError and changes nothing; `announce`: is called after
        that.
        """
        self.config, self.path, self.labels = config, path, labels
        self.needs_restart: tuple[str, ...] = ()  # tables whose values in the file wait for a restart
        self._apply, self._announce = apply, announce

    def reload(self, requested_by: str, quiet: bool = False) -> tuple[str, ...]:
        """Put the file's configuration in force; its problems, a sentence each, where it stays as it was.

        `quiet`: problems are the caller's to report, and a reload without changes is not logged.
        """
        if self.path is None:
            return ()
        problems: tuple[str, ...] = ()
        try:
            new = load(self.path)
            problems = unknown_actions(new, self.labels)
            if not problems:
                self._replace(new, requested_by, quiet)
        except ConfigError as error:
            problems = error.problems
        except CaptureError as error:
            problems = (str(error),)
        for problem in () if quiet else problems:
            log.error("%s: %s; the old configuration stays in force", self.path, problem)
        return problems

    def _replace(self, new: Config, requested_by: str, quiet: bool) -> None:
        """Put all of `new` in force that needs no restart. Raises CaptureError."""
        before, waiting = self.config, self.needs_restart
        config = reloadable(before, new)
        self._apply(config)
        self.config, self.needs_restart = config, needs_restart(config, new)
        if (config, self.needs_restart) != (before, waiting) or not quiet:
            text = describe(changes(before, config), changes(config, new))
            log.info("%s is in force, requested by %s: %s", self.path, requested_by, text)
            self._announce()
