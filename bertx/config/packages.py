"""Imports a user's own code, so that its components are registered."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType

from bertx.errors import BertxError, ConfigError


def include_package(name: str) -> None:
    """Imports a module with all its submodules, or a `.py` file; a second call does nothing.

    The current directory counts as importable.

    Args:
        name: A dotted name such as `my_project.models`, or a path that ends in `.py`.

    Raises:
        ConfigError: It does not exist, or importing it failed.
    """
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    if name.endswith(".py"):
        _import_file(name)
        return
    module = _import(name, name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"{name}.", onerror=_ignore):
        if not found.name.endswith(".__main__"):
            _import(found.name, name)


def _import(module: str, included: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise ConfigError(
                f'--include-package {included}: no module "{error.name}"; expected one that Python finds '
                f"(the current folder is {Path.cwd()}) or a .py file"
            ) from None
        raise _failed(included, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(included, error) from error


def _import_file(name: str) -> None:
    path = Path(name).resolve()
    if not path.is_file():
        raise ConfigError(f"--include-package {name}: no such file; the current folder is {Path.cwd()}")
    loaded = {str(getattr(module, "__file__", None)) for module in list(sys.modules.values())}
    if str(path) in loaded:
        return
    # Two files of one name must not meet in sys.modules.
    unique = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(unique, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--include-package {name}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[unique]
        raise _failed(name, error) from error


def _failed(included: str, error: BaseException) -> ConfigError:
    """Says which line of the user's code failed, in the words of the exception."""
    text = str(error) if isinstance(error, BertxError) else f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return ConfigError(f"--include-package {included}: {error.filename}:{error.lineno}: {text}")
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    where = f"{ours[-1].filename}:{ours[-1].lineno}: " if ours else ""
    return ConfigError(f"--include-package {included}: {where}{text}")


def _ignore(name: str) -> None:
    """A submodule that cannot be imported is reported by the import of it, with its text."""
