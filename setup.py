"""Which folders are packages; everything else about the distribution stands in setup.cfg.

`adapters/` and `leaderboards/` hold packages beside files that users look for, so that the packages
have roots of their own, and the recipes join their package only in the wheel. The builders made
files that lie in the repository; nobody needs them installed.
"""

from setuptools import find_packages, setup

ROOTS = {
    ".": ["calibench*", "calib_metrics*", "harness_tasks*"],
    "adapters": ["calib_adapters*"],
    "leaderboards": ["calib_leaderboards*"],
}
FILES = {
    "calib_adapters.recipes": "adapters/recipes",
    "calib_adapters.accelerate": "adapters/accelerate",
}

setup(
    packages=[
        package
        for root, include in ROOTS.items()
        for package in find_packages(root, include=include, exclude=["harness_tasks.builders*"])
    ]
    + list(FILES),
    package_dir={
        "calib_adapters": "adapters/calib_adapters",
        "calib_leaderboards": "leaderboards/calib_leaderboards",
        **FILES,
    },
)
