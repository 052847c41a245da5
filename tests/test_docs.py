"""The documentation: a page and a test for each plugin, tables as the code has them, examples that run."""

import inspect
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plastic.bench.costs import Costs
from plastic.cli.main import main
from plastic.core import hookspecs
from plastic.core.errors import RunError
from plastic.core.recipes import option_text, options
from plastic.core.recipes.assemble import assemble
from plastic.core.recipes.recipe import Recipe
from plastic.core.recipes.registry import Registry
from plastic.testing import check_plugin

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
BUILT_IN = {name: entry.cls for name, entry in Registry().load().all("plugin").items() if entry.package == "plastic-rl"}
SECTIONS = ("When to use it", "Options", "Source", "Cost per update", "Combinations and conflicts", "Known traps")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def test_every_plugin_has_a_page_and_every_page_a_plugin() -> None:
    pages = {page.stem for page in (DOCS / "plugins").glob("*.md")} - {"index", "matrix"}
    assert pages == BUILT_IN.keys()


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_plugins_page_says_everything_that_a_page_says(name: str) -> None:
    text = (DOCS / "plugins" / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [heading for heading in headings if heading in SECTIONS] == list(SECTIONS)
    assert f"<!-- table: plugin {name} -->" in text
    assert re.search(rf"^    plastic run .*--plugin '?{name}\b", text, re.MULTILINE)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_plugin_has_a_test_that_mirrors_its_file(name: str) -> None:
    source = Path(inspect.getfile(BUILT_IN[name])).relative_to(ROOT / "plastic")
    assert source.stem == name
    assert (ROOT / "tests" / source.parent / f"test_{source.name}").is_file()


@pytest.mark.parametrize("name", [name for name in vars(hookspecs) if name.startswith("plastic_")])
def test_every_hook_is_described_where_authors_read(name: str) -> None:
    assert f"`{name}()`" in (DOCS / "writing_plugins.md").read_text(encoding="utf-8")


def test_every_law_is_described_where_authors_read() -> None:
    text = (DOCS / "writing_plugins.md").read_text(encoding="utf-8")
    described = re.findall(r"^\| ([a-z ]+) \| (?!what it asks)", text.partition("| law |")[2], re.MULTILINE)
    assert described == [law.name for law in check_plugin(BUILT_IN["weight_norm"], on=("plain",), beside=()).laws]


# ------------------------------------------------------------------ tables


GENERATE = runpy.run_path(str(DOCS / "generate.py"))["main"]


def test_the_tables_are_those_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert GENERATE(["--check"]) == 0, capsys.readouterr().out


def test_a_stale_page_is_named_and_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "plugins" / "sam.md"
    page.parent.mkdir()
    shutil.copy(DOCS / "plugins" / "sam.md", page)
    good = page.read_text(encoding="utf-8")
    stale = good.replace("| `rho` |", "| `radius` |")
    page.write_text(stale, encoding="utf-8")
    assert GENERATE(["--check", str(tmp_path)]) == 1
    assert str(page) in capsys.readouterr().out
    assert page.read_text(encoding="utf-8") == stale
    assert GENERATE([str(tmp_path)]) == 0
    assert page.read_text(encoding="utf-8") == good


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- table: plugin smm -->\n<!-- end -->\n", "nothing gives the table 'plugin smm'"),
        ("<!-- table: plugin -->\n<!-- end -->\n", "nothing gives the table 'plugin'"),
        ("<!-- table: plugin sam -->\n", "a table has no <!-- end -->"),
    ],
)
def test_a_table_that_cannot_be_given_is_an_error(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=message):
        GENERATE(["--check", str(tmp_path)])


def test_it_is_a_command() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# ------------------------------------------------------------------ links and examples


FORMS = re.findall(r"`(when=[^`]+)`", (DOCS / "plugins" / "index.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("form", FORMS)
def test_the_forms_of_a_schedule_are_understood(form: str) -> None:
    assert options.build(BUILT_IN["reset"], option_text.parse(form, "reset"), "reset").when is not None


@every_page
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def python_in(page: Path) -> str:
    """The Python of a page, its blocks one after the other."""
    return "\n\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if python_in(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, but for runs that are made shorter."""
    script = tmp_path / "example.py"
    script.write_text(re.sub(r"\bsteps=[\d_]+", "steps=600", python_in(page)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="example")


def commands_in(page: Path) -> list[str]:
    """What a page says to type: lines of code that begin with `plastic `."""
    text = page.read_text(encoding="utf-8")
    indented = re.findall(r"^ {4}(plastic .+)$", text, re.MULTILINE)
    fenced = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    return indented + re.findall(r"^(plastic .+)$", fenced, re.MULTILINE)


COMMANDS = [(page, command) for page in PAGES for command in commands_in(page)]


@pytest.mark.parametrize(
    ("page", "command"), COMMANDS, ids=[f"{page.relative_to(ROOT)}: {command}" for page, command in COMMANDS]
)
def test_the_commands_of_a_page_are_understood(
    page: Path, command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`plastic run` and `bench` up to the plan; what needs a finished run, up to the complaint that there is none."""
    name, *arguments = shlex.split(command, comments=True)[1:]
    if "gentle:GentleReset" in command:  # from the folder of the page's own file
        (tmp_path / "gentle.py").write_text(python_in(page), encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.path", ["", *sys.path])
    if arguments[:1] == ["check"]:
        arguments.append("--alone")
    if name == "bench":

        def plan_alone(wanted: Recipe, known: Registry, **how: object) -> Costs:
            assemble(wanted, known)
            raise RunError("it would be timed now")

        monkeypatch.setattr("plastic.bench.costs.measure", plan_alone)
        assert main([name, *arguments]) == 1
        assert "it would be timed now" in capsys.readouterr().err
    elif name == "run":
        code = main(["run", *arguments, *([] if "--dry-run" in arguments else ["--dry-run"])])
        assert code == 0, capsys.readouterr().err
    elif name == "plugins":
        assert main([name, *arguments]) == 0, capsys.readouterr().err
    else:
        assert main([name, *arguments]) == 2
        assert "is no run's folder" in capsys.readouterr().err
