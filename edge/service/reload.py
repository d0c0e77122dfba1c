"""The configuration in force, and its reload from the file. Shell.

A reload is requested by SIGHUP or over MQTT. It applies what can change at once and names what waits for a restart; a
file with any mistake changes nothing. Changes can be put in force without being written.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge.cameras.video_file import CaptureError
from edge.config import edit as config_edit
from edge.config import store as config_store
from edge.config.config_file import ConfigError, load
from edge.config.schema import Config
from edge.config.store import ChangeError
from edge.service.reload_rules import changes, describe, needs_restart, reloadable
from edge.service.settings import unknown_actions

log = logging.getLogger(__name__)

NO_FILE = "this device runs without a configuration file: start it with --config"


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
        self.unsaved: dict[str, object] = {}  # changes in force that the file does not hold
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
            problems = self._check(new)
            if not problems:
                self._replace(new, requested_by, quiet)
                self.unsaved = {}
        except ConfigError as error:
            problems = error.problems
        except CaptureError as error:
            problems = (str(error),)
        for problem in () if quiet else problems:
            log.error("%s: %s; the old configuration stays in force", self.path, problem)
        return problems

    def apply(self, changes: Mapping[str, object], requested_by: str) -> tuple[str, ...]:
        """Put changes in force without writing them, until a reload or the end; their problems.

        `changes`: as `config_edit.edited` takes them; they add to earlier ones that were not saved.
        """
        if self.path is None:
            return (NO_FILE,)
        wanted = config_edit.combined(self.unsaved, changes)
        try:
            self._replace(config_store.tried(self.path, wanted, self._check), f"{requested_by}, not saved", quiet=True)
        except ChangeError as error:
            return error.problems
        except CaptureError as error:
            return (str(error),)
        self.unsaved = wanted
        return ()

    def save(self, changes: Mapping[str, object], requested_by: str) -> tuple[str, ...]:
        """Write changes into the file and put it in force, without what was applied and not saved; their problems."""
        if self.path is None:
            return (NO_FILE,)
        problems = config_store.store(self.path, changes, self._check)
        return problems or self.reload(requested_by, quiet=True)

    def _check(self, config: Config) -> tuple[str, ...]:
        return unknown_actions(config, self.labels)

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
