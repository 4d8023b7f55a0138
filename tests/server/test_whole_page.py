"""ticker/server/whole_page.py and files.py: the dashboard as one page, whose policy has the hash of each part."""

from __future__ import annotations

import re
import zlib
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from tests.web.javascript import WEB
from ticker.errors import ConfigError
from ticker.net.http1 import FIRST_RECORD, Response
from ticker.server.files import Files

HEAD_BYTES = 1_200
"""Of a response, with room to spare."""

PAGE = """<head><link rel="icon" href="icon.svg">
<script src="one.js"></script>
<script src="two.js"></script>
<script type="module" src="app/app.js"></script>
<link rel="stylesheet" href="app.css">
</head>
<body>hello</body>
"""
PARTS = {
    "icon.svg": "<svg></svg>",
    "one.js": "globalThis.one = 1;\n",
    "two.js": "globalThis.two = 2;\n",
    "app.css": "/* Colours\n   of all. */\n\nbody {\n  color: red;\n}\n",
    "app/app.js": 'import { three } from "./three.js";\nthree();\n',
    "app/three.js": "export function three() {}\n",
}


def files_of(folder: Path, **replaced: str) -> Files:
    """The page's files in a folder; names have `_` in place of the dot."""
    (folder / "app").mkdir()
    changed = {name.replace("_", "."): text for name, text in replaced.items()}
    for path, text in {"index.html": PAGE, **PARTS, **changed}.items():
        (folder / path).write_text(text)
    return Files(folder)


def response_of(files: Files, path: str, **headers: str) -> Response:
    response = files.find(path, {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()})
    assert response is not None, path
    return response


def found(files: Files, path: str) -> str:
    return response_of(files, path).body.decode()


def hashes(page: str, tag: str) -> set[str]:
    """As a browser takes them of what stands between these tags."""
    texts = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", page, re.DOTALL)
    return {f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts}


def directives(response: Response) -> dict[str, set[str]]:
    lists = (each.split() for each in response.headers["Content-Security-Policy"].split(";"))
    return {name: set(sources) for name, *sources in lists}


def test_all_that_a_page_names_stands_in_it_and_its_modules_at_the_end(tmp_path: Path) -> None:
    page = found(files_of(tmp_path), "/")
    icon = re.search(r'href="data:image/svg\+xml;base64,([^"]+)"', page)
    assert icon is not None
    assert b64decode(icon[1]).decode() == PARTS["icon.svg"]
    assert "<script>globalThis.one = 1;\n\nglobalThis.two = 2;\n</script>" in page
    assert "<style>body {\ncolor: red;\n}</style>" in page
    head, _, behind = page.partition("<body>hello")
    assert "module" not in head
    assert re.fullmatch(r'<script type="module">.*\nconst \$app_app = .*</script>\n</body>\n', behind, re.DOTALL)


def test_the_dashboard_asks_for_nothing_else_and_allows_what_is_in_it() -> None:
    files = Files(WEB)
    response = response_of(files, "/")
    page = response.body.decode()
    assert [each for each in re.findall(r'(?:src|href)="([^"]*)"', page) if not each.startswith("data:")] == []
    allowed = directives(response)
    assert (allowed["script-src"], len(allowed["script-src"])) == (hashes(page, "script"), 2)
    assert (allowed["style-src"], len(allowed["style-src"])) == (hashes(page, "style"), 1)
    others = directives(response_of(files, "/index.html"))
    assert (others["script-src"], others["style-src"]) == ({"'self'"}, {"'self'"})
    assert {**allowed, "script-src": set(), "style-src": set()} == {**others, "script-src": set(), "style-src": set()}
    in_head = re.findall(r'<script src="([^"]+)"', found(files, "/index.html"))
    for file in WEB.glob("dashboard/*.js"):
        path = f"dashboard/{file.name}"
        assert path in in_head or f"// {path}\n" in page, f"nothing imports {file.name}"


def test_the_scripts_that_open_the_stream_and_the_styles_come_with_the_first_record() -> None:
    response = response_of(Files(WEB), "/", accept_encoding="gzip")
    first = zlib.decompressobj(wbits=31).decompress(response.body[: FIRST_RECORD - HEAD_BYTES]).decode(errors="ignore")
    assert "new WebSocket" in first.partition("</script>")[0]
    assert "</style>" in first
    assert "</header>" in first


def test_the_page_and_its_modules_come_in_three_windows_of_a_new_connection() -> None:
    windows = (10 + 20 + 40) * 1_448
    assert len(response_of(Files(WEB), "/", accept_encoding="gzip").body) + HEAD_BYTES < windows


def test_the_page_for_work_on_it_is_the_one_in_the_folder() -> None:
    files = Files(WEB)
    assert found(files, "/index.html") == (WEB / "index.html").read_text()
    assert found(files, "/dashboard/dashboard.js") == (WEB / "dashboard" / "dashboard.js").read_text()


@pytest.mark.parametrize("text", ["'</script>'", "'<!-- '", "'<SCRIPT'"])
@pytest.mark.parametrize("name", ["one_js", "app/app_js"])
def test_a_script_that_an_html_parser_reads_otherwise_is_said_at_the_start(
    tmp_path: Path, name: str, text: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^{name.replace('_', '.')}: a script with .* cannot stand in a page"):
        files_of(tmp_path, **{name: f"console.log({text});\n"})


def test_a_style_sheet_with_addresses_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^app\.css: a style sheet with url"):
        files_of(tmp_path, app_css="body { background: url(icon.svg); }\n")


def test_a_page_that_cannot_be_bundled_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^app/app\.js, line 1: "):
        files_of(tmp_path, **{"app/app_js": "export default 1;\n"})
