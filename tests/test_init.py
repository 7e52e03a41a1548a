"""`import telos` is instant and has every public name."""

import subprocess
import sys

import pytest

import telos


@pytest.mark.parametrize("name", telos.__all__)
def test_every_public_name_is_there(name):
    assert getattr(telos, name).__name__ == name


def test_importing_telos_imports_neither_torch_nor_gymnasium():
    code = "import telos, sys; sys.exit(any(name in sys.modules for name in ('torch', 'gymnasium', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="agnet"):
        _ = telos.agnet
