"""Settings of runs that take seconds."""

from pathlib import Path

import yaml

SHORT = yaml.safe_load((Path(__file__).parent / "short.yaml").read_text())
