"""The metadata of a Dataflow Flex Template that runs the main job, from the options themselves.

python -m beam_pipelines.run.template > docs/deploy/run-metadata.json
"""

from __future__ import annotations

import json
import sys
from typing import Any

from beam_pipelines.run import job_options
from beam_pipelines.run.arguments import NEEDED, parser


def metadata() -> dict[str, Any]:
    """What a template says about itself and its parameters.

    Examples
    --------
    >>> [each["name"] for each in metadata()["parameters"] if not each["isOptional"]]
    ['input', 'window', 'n-components', 'output']
    """
    return {
        "name": "streampca",
        "description": "Ordered principal components of files of rows, window by window.",
        "streaming": False,
        "parameters": [_parameter(action) for action in parser()._actions if action.dest != "help"],
    }


def _parameter(action: Any) -> dict[str, Any]:
    name = action.option_strings[0].removeprefix("--")
    found = {
        "name": name,
        "label": name.replace("-", " ").capitalize(),
        "helpText": action.help.replace("%%", "%"),
        "isOptional": action.dest not in NEEDED,
        "paramType": "TEXT",
    }
    switch = action.metavar == job_options.SWITCH
    return found | ({"regexes": ["^(true|false)$"]} if switch else {})


if __name__ == "__main__":
    json.dump(metadata(), sys.stdout, indent=2)
    sys.stdout.write("\n")
