import subprocess
import sys


def test_exports_exist_and_load_nothing_heavy():
    script = (
        "import sys, byrote.exposure.goldfish as g\n"
        "g.Goldfish().check(), g.keep_mask([[1, 2, 3]], g.Goldfish())\n"
        "print(sorted({'torch', 'transformers', 'polars', 'scipy'} & sys.modules.keys()))\n"
        "print([name for name in g.__all__ if getattr(g, name, None) is None])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"], done.stderr
