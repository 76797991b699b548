"""`streamrt convert`, run for real on folders of vcr's cassettes."""

from __future__ import annotations

import gzip

import pytest
from click.testing import CliRunner

from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.cli.app import streamrt

KEY = "sk-proj-0123456789abcdefghij"
VCR = f"""
interactions:
- request:
    body: '{{"model":"m"}}'
    headers: {{authorization: [Bearer {KEY}], x-tenant: [acme-0123456789]}}
    method: POST
    uri: https://api.example/v1/chat/completions?api_key={KEY}
  response:
    body: {{string: 'you sent {KEY}, acme-0123456789'}}
    headers: {{set-cookie: [sid=0123456789abcdef]}}
    status: {{code: 200, message: OK}}
version: 1
"""


def convert(*arguments):
    return CliRunner().invoke(streamrt, ["convert", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "cassettes" / "test_mine"
    folder.mkdir(parents=True)
    (folder / "test_a.yaml").write_text(VCR)
    return folder


def test_a_folder_is_converted_beside_itself_and_the_old_files_stay(folder):
    result = convert(folder.parent)

    assert result.exit_code == 0, result.output
    (found,) = load_cassette(folder / "test_a.jsonl")
    assert (found.method, found.status, found.how) == ("POST", 200, "complete")
    assert (folder / "test_a.yaml").read_text() == VCR
    assert (
        f"{folder / 'test_a.yaml'} -> {folder / 'test_a.jsonl'}: 1 exchange; taken out: an API key (sk-…)"
        in result.output
    )
    assert "Times and cuts are not in vcr's cassettes" in result.output
    assert sorted(each.name for each in folder.iterdir()) == ["test_a.jsonl", "test_a.yaml"]


def test_no_secret_gets_over(folder):
    convert(folder, "--filter-header", "X-Tenant")

    text = (folder / "test_a.jsonl").read_text()
    assert KEY not in text
    assert "0123456789abcdef" not in text
    assert "acme-0123456789" not in text


def test_folders_are_kept_under_another_one(folder, tmp_path):
    assert convert(folder.parent, "-o", tmp_path / "new").exit_code == 0
    assert (tmp_path / "new" / "test_mine" / "test_a.jsonl").exists()
    assert convert(folder / "test_a.yaml", "-o", tmp_path / "one").exit_code == 0
    assert (tmp_path / "one" / "test_a.jsonl").exists()


def test_nothing_is_replaced_without_being_told_to(folder):
    convert(folder)
    (folder / "test_a.jsonl").write_text("mine")

    refused = convert(folder)
    kept = (folder / "test_a.jsonl").read_text()
    forced = convert(folder, "--force")

    assert (refused.exit_code, kept) == (1, "mine")
    assert "test_a.jsonl is there already; --force replaces it" in refused.stderr
    assert forced.exit_code == 0
    assert len(load_cassette(folder / "test_a.jsonl")) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("test_b[asyncio]", "test_b"),
        ("test_b[trio-2]", "test_b[2]"),
        ("test_b[1-asyncio-x]", "test_b[1-x]"),
        ("TestIt.test_b[gpt--4]", "TestIt.test_b[gpt--4]"),
        ("test_asyncio", "test_asyncio"),
    ],
)
def test_the_backend_of_anyio_is_not_in_the_name_of_ours(old, new, folder):
    (folder / "test_a.yaml").rename(folder / f"{old}.yaml")

    assert convert(folder).exit_code == 0
    assert (folder / f"{new}.jsonl").exists()


def test_a_packed_cassette_loses_both_suffixes(folder):
    (folder / "test_b.v1.yaml.gz").write_bytes(gzip.compress(VCR.encode()))

    assert convert(folder).exit_code == 0
    assert (folder / "test_b.v1.jsonl").exists()


def test_both_backends_give_one_cassette(folder):
    (folder / "test_a.yaml").rename(folder / "test_a[asyncio].yaml")
    (folder / "test_a[trio].yaml").write_text(VCR)

    result = convert(folder)

    assert result.exit_code == 0
    assert "test_a[trio].yaml: left out; " in result.output
    assert len(list(folder.glob("*.jsonl"))) == 1


def test_what_cannot_be_converted_is_said_and_the_rest_is_converted(folder):
    (folder / "broken.yaml").write_text("a: [")
    (folder / "evil.yml").write_text("a: !!python/object/apply:os.system [ls]")
    (folder / "settings.yaml").write_text("a: 1")

    result = convert(folder)

    assert result.exit_code == 1
    assert "broken.yaml: this cannot be read as YAML" in result.stderr
    assert "evil.yml: this cannot be read as YAML at line 1: it has a YAML object in it" in result.stderr
    assert "settings" not in result.output
    assert (folder / "test_a.jsonl").exists()
    assert "Traceback" not in result.output


def test_wrong_use(folder, tmp_path):
    (folder / "test_a.yaml").write_text("a: 1")

    assert convert(tmp_path / "nowhere").exit_code == 2
    assert convert().exit_code == 2
    assert convert(folder, "--filter-pattern", "(").exit_code == 2
    nothing = convert(folder)
    assert (nothing.exit_code, nothing.stderr) == (1, f"Error: there is no cassette of vcr in {folder}\n")
    given = convert(folder / "test_a.yaml")
    assert (given.exit_code, given.stderr) == (
        1,
        f"{folder / 'test_a.yaml'}: this is no cassette of vcr: there are no interactions in it\n",
    )


def test_without_pyyaml_it_says_what_to_install(folder, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "yaml", None)

    result = convert(folder)

    assert result.exit_code == 1
    assert "pip install 'pytest-streamrt[cli]'" in result.stderr


def test_a_cassette_of_ours_need_not_be_converted(folder):
    convert(folder)
    result = convert(folder / "test_a.jsonl")

    assert result.exit_code == 1
    assert "this is a cassette of pytest-streamrt already" in result.output
