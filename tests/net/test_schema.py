# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The JSON Schema and the parser agree on the corpus in tests/unit/config."""

import json
import os
import pathlib
import subprocess

import jsonschema
import pytest
import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("XDPLB_BUILD", TOP / "build"))
CORPUS = TOP / "tests/unit/config"

GOOD = sorted(CORPUS.glob("good/*.yaml")) + [TOP / "docs/example.yaml"]
BAD = sorted(CORPUS.glob("bad/*.yaml"))  # bad/semantic/: beyond what a schema can say


@pytest.fixture(scope="module")
def validator():
    printer = BUILD / "tests/unit/test_config_files"
    text = subprocess.run([printer, "--schema"], check=True, capture_output=True).stdout
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_file_is_valid(validator, path):
    validator.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_file_is_invalid(validator, path):
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(yaml.safe_load(path.read_text()))
