from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from stoker.config import load_settings
from stoker.config.sources import parse_assignment
from stoker.digest import Digest
from stoker.errors import ConfigError
from stoker.reference import Reference


class EngineOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plugin's options."""

    context_length: int = 10
    threads: int | None = None


def _load(tmp_path: Path, toml: str = "", *sets: str, **environ: str) -> Any:
    (tmp_path / "stoker.toml").write_text(toml)
    flags = [parse_assignment(text) for text in sets]
    return load_settings(flags=flags, environ={"STOKER_HOME": str(tmp_path), **environ})


def test_defaults_hold_without_any_source(tmp_path: Path) -> None:
    """No file is needed."""

    settings = load_settings(environ={"STOKER_HOME": str(tmp_path / "none")})

    assert 300.0 == settings.config.defaults.keep_alive_s


def test_flags_beat_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    """The last word wins, key by key."""

    settings = _load(
        tmp_path,
        "[defaults]\nkeep_alive_s = 1\nload_timeout_s = 1\nstore = 'a'",
        "defaults.keep_alive_s=3",
        STOKER_DEFAULTS__KEEP_ALIVE_S="2",
        STOKER_DEFAULTS__LOAD_TIMEOUT_S="2",
    )

    defaults = settings.config.defaults
    assert (3.0, 2.0, "a") == (defaults.keep_alive_s, defaults.load_timeout_s, defaults.store)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[defaults]\nkeep_alive_s = 'x'", ["stoker.toml", "defaults.keep_alive_s", "float"]),
        ("[defaults]\nkeep_alive_s = -1", ["defaults.keep_alive_s", ">= 0"]),
        ("[defaults]\nkeepalive = 1", ["defaults.keepalive", "unknown setting", "keep_alive_s"]),
        ("[modles]", ["modles", "unknown setting", "models"]),
        ("[models.'ai/x']\nbackend = 3", ['models."ai/x".backend', "str"]),
        ("[memory]\nbudget = 'much'", ["memory", "'much' is no amount of memory"]),
        ("[memory]\nbudget = 1.5", ["memory.budget", "<= 1"]),
        ("[memory.devices]\nCUDA0 = '1 XiB'", ["memory", "'1 XiB' is no amount of memory"]),
        ("[selection]\ntype = 3", ['selection."type"', "array"]),
        ("[plugins]\nblock = [1]", ["plugins.block[0]", "str"]),
        ("[defaults", ["stoker.toml", "is not TOML"]),
    ],
)
def test_a_wrong_setting_names_file_key_and_what_was_expected(
    tmp_path: Path, toml: str, words: list[str]
) -> None:
    """An error in the file can be mended from its sentence alone."""

    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, toml)

    assert [] == [word for word in words if word not in str(caught.value)]


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    """Errors in the environment name the variable."""

    with pytest.raises(ConfigError, match=r"STOKER_DEFAULTS__KEEP_ALIVE_S: defaults.keep_alive_s"):
        _load(tmp_path, STOKER_DEFAULTS__KEEP_ALIVE_S="soon")
    with pytest.raises(ConfigError, match="STOKER_DEFALTS__X: is not"):
        _load(tmp_path, STOKER_DEFALTS__X="1")


def test_a_wrong_flag_is_named(tmp_path: Path) -> None:
    """Errors in flags name the flag."""

    with pytest.raises(ConfigError, match=r"--set: defaults\.keep_alive_s"):
        _load(tmp_path, "", "defaults.keep_alive_s=soon")
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        parse_assignment("defaults")
    with pytest.raises(ConfigError, match="expected a dotted key"):
        parse_assignment("a b=1")


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """A file that the user names is never silently left out."""

    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(config_file=tmp_path / "none.toml", environ={"STOKER_HOME": str(tmp_path)})
    with pytest.raises(ConfigError, match="cannot be read"):
        _load(tmp_path, STOKER_CONFIG=str(tmp_path / "none.toml"))


def test_plugin_options_are_decoded_by_the_plugins_type(tmp_path: Path) -> None:
    """The core passes the table on; a variable reaches names with dots by underscores."""

    settings = _load(
        tmp_path,
        "[backends.'llama.cpp']\ncontext_length = 20",
        STOKER_BACKENDS__LLAMA_CPP__THREADS="4",
    )

    options = settings.options("backends", "llama.cpp", EngineOptions)
    assert EngineOptions(context_length=20, threads=4) == options


def test_wrong_plugin_options_name_source_and_key(tmp_path: Path) -> None:
    """Options are checked source by source, so the error names the right one."""

    settings = _load(tmp_path, "[backends.e]\ncontext_lenght = 20")

    with pytest.raises(
        ConfigError, match=r"stoker.toml: backends.e.context_lenght: unknown.*threads"
    ):
        settings.options("backends", "e", EngineOptions)


def test_a_model_is_found_by_any_form_of_its_name(tmp_path: Path) -> None:
    """Names in the config are references like all others."""

    settings = _load(tmp_path, "[models.smollm2]\nbackend = 'b'")

    def backend(name: str) -> str | None:
        return settings.model(settings.model_rules(Reference.parse(name))).backend

    assert "b" == backend("docker.io/ai/smollm2:latest")
    assert None is backend("other")


MODELS = """
[backends.e]
threads = 1
context_length = 5
[models."ai/*"]
keep_alive_s = 1
priority = 1
options = {context_length = 6, threads = 2}
[models."ai/smol*"]
priority = 2
options = {context_length = 7}
[models."hf.co/*:Q4_?_M"]
priority = 9
[models.smollm2]
pin = true
priority = 3
[models."sha256:%s"]
priority = 4
options = {context_length = 8}
"""


@pytest.mark.parametrize(
    ("name", "digest", "expected"),
    [
        ("smollm2", "b", (1.0, 3, True, 7, 2)),
        ("smollm2", "a", (1.0, 4, True, 8, 2)),
        ("docker.io/ai/smollm2:135m", "b", (1.0, 2, False, 7, 2)),
        ("ai/other", "b", (1.0, 1, False, 6, 2)),
        ("hf.co/x/y:Q4_K_M", "b", (None, 9, False, 5, 1)),
        ("hf.co/x/y:Q8_0", "b", (None, 0, False, 5, 1)),
    ],
)
def test_the_more_exact_table_wins_key_by_key(
    tmp_path: Path, name: str, digest: str, expected: tuple[Any, ...]
) -> None:
    """Patterns come first, longer ones later, then the name, then the digest."""
    settings = _load(tmp_path, MODELS % ("a" * 64))
    rules = settings.model_rules(Reference.parse(name), Digest("sha256", digest * 64))
    model = settings.model(rules)
    options = settings.model_options("e", EngineOptions, rules)

    assert expected == (
        model.keep_alive_s,
        model.priority,
        model.pin,
        options.context_length,
        options.threads,
    )


def test_a_wrong_option_of_a_model_is_named_where_it_stands(tmp_path: Path) -> None:
    """The error has the source and the key of the table of `[models]`."""
    settings = _load(tmp_path, '[models."ai/*".options]\nthreads = "many"')
    rules = settings.model_rules(Reference.parse("ai/x"))

    with pytest.raises(
        ConfigError, match=r'stoker.toml: models."ai/\*".options.threads: expected `int \| null`'
    ):
        settings.model_options("e", EngineOptions, rules)


@pytest.mark.parametrize("key", ["UPPER CASE", "sha256:abc", "a b/c"])
def test_a_key_of_models_that_means_nothing_is_an_error(tmp_path: Path, key: str) -> None:
    """What is neither a pattern nor a name nor a digest can be about no model."""
    settings = _load(tmp_path, f"[models.'{key}']\npin = true")

    with pytest.raises(ConfigError, match=key):
        settings.model_rules(Reference.parse("ai/x"))


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[aliases.a]\nmodel = 'b'\n[aliases.b]\nmodel = 'c'", "means the alias 'b'"),
        ("[aliases.'not a name']\nmodel = 'b'", "must look like a model's name"),
        ("[aliases.a]\nmodel = 'b'\nenforced = {temperature = -1}", "temperature must be between"),
        (
            "[aliases.a]\nmodel = 'b'\ndefaults = {warmth = 1}",
            'aliases."a".defaults.warmth: unknown',
        ),
        ("[aliases.a]", "missing required field `model`"),
    ],
)
def test_wrong_aliases_are_named(tmp_path: Path, toml: str, words: str) -> None:
    """An alias has a name, means a model, and knows the parameters of requests."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, toml)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("a.b=1", ("a", "b"), 1),
        ('models."ai/x".backend=b', ("models", "ai/x", "backend"), "b"),
        ('a=["x", "y"]', ("a",), ["x", "y"]),
        ("a=", ("a",), ""),
        ("a=x\nb = 2", ("a",), "x\nb = 2"),
    ],
)
def test_assignments_are_toml_or_text(text: str, key: tuple[str, ...], value: Any) -> None:
    """A value that is no TOML is taken as text."""

    flag = parse_assignment(text)

    assert (key, value) == (flag.key, flag.value)
