# ruff: noqa: E501
"""Strings of every trade: markup, signs that are no letters, names that lead elsewhere, words that YAML reads oddly."""

LONG = "w" * 100_000
MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</article></main></body><script src=//x.example/a.js></script>",
    "[words](javascript:alert(1))",
    "[words](data:text/html,x)",
    "![x](https://x.example/p.png)",
    "<a href=javascript:alert(1)>a</a>",
    "<iframe src=//x.example></iframe>",
    "&lt;b&gt; &amp; &#x3c;script&#x3e;",
    "`<b>raw</b>`{=html}",
    "```{=html}\n<script>alert(1)</script>\n```",
    "::: {.livingpaper claim='x'}\n:::",
    ":::\n\n# Out of the callout\n\n::: {.evil}",
    "{{< include /etc/passwd >}}",
    "`x.json#/a`{.value}",
    "[x]{.livingpaper-error}",
    "![](/etc/passwd)",
    "\\input{/etc/passwd}",
    "\\begin{verbatim}x",
    "$\\def\\a{\\a}\\a$",
    '#import "@preview/x:0.1.0": *',
    '#read("/etc/passwd")',
    "]) #panic(1) #let x = (",
    '`#read("/etc/passwd")`{=typst}',
    "| a | b |\n|--|--|\n| c | d |",
    "a | b \\| c `d|e`",
    "- item\n1. item\n> quote",
    "---\ntitle: x\n---",
    "@nobody [@nobody] [^1] ^[note] @fig-x {#fig-x}",
    "*a **b* c** ~~d~~ H~2~O x^2^ (@) (c) ... -- 'q'",
    "<!-- comment",
    "<details open ontoggle=alert(1)>",
    "{value.__class__} {0} {run!r}",
    "%s %n {{ 7 * 7 }} ${7*7} $(id) `id` ;id",
    "'; DROP TABLE runs; --",
)
SIGNS = (
    "\u202etfel ot thgir\u202c",
    "a\u200bb\u200dc\ufeffd",
    "\ud800 half",
    "half \udfff\ud800",
    "bell\x07 escape\x1b[2J nul\x00 back\x08",
    "line\u2028separator\u2029paragraph\x85next",
    "tab\there\r\nline",
    "Ｆｕｌｌ．．／width",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L",
    "漢字 🙂 👩‍👩‍👧 العربية",
    "\u00a0 \u2003 \u3000",
    "ﬁ ı İ ſ K",
    LONG,
    "`" * 5000,
    "[" * 3000,
    "*" * 3000 + "a",
    "\\" * 2001,
    '"' * 2001,
)
HOSTILE = MARKUP + SIGNS

NAMES = (
    *("..", ".", "", " ", "/", "//", "~", "-", "--help", "-rf", "*", "?", "\0", "a\0b", "\n", "a\nb", "\x1b[2J", "a" * 300),
    *("../outside/canary.txt", "../../outside/canary.txt", "a/../../outside/canary.txt", "./../outside/canary.txt"),
    *("{outside}/canary.txt", "/{outside}/canary.txt", "file://{outside}/canary.txt", "{outside}", "{outside}/../outside"),
    *("..%2foutside%2fcanary.txt", "%2e%2e/outside/canary.txt", "%2e%2e%2foutside", "..%252foutside", "..%c0%afoutside"),
    *("..\\outside\\canary.txt", "....//outside/canary.txt", "..;/outside/canary.txt", "..~1outside~1canary.txt"),
    *("door/canary.txt", "door", "paper/../door/canary.txt", "door/../canary.txt", "/door/canary.txt", "door%2fcanary.txt"),
    *("\u2025/outside", "．．/outside/canary.txt", "..∕outside∕canary.txt", "a\u202e/..", "e\u0301.json", "\ud800"),
    *("/etc/passwd", "/proc/self/environ", "/dev/stdin", "//host/share", "C:\\x", "\\\\host\\x", "CON", "nul.json"),
    *("$(touch {outside}/made)", "`touch {outside}/made`", "; touch {outside}/made", "| touch {outside}/made", "&& true"),
    *("tiny-s1/../../../outside", "tiny-s1\n", "tiny-s01", "tiny-s-1", "tiny-s1.json", "TINY", "tiny ", "tiny/", "./tiny"),
    *("runs/tiny-s1", "studies", ".git", ".venv", "_site", "index", "<b>", '"', "'", "{run}", "{preset}", "%s", "null"),
)  # fmt: skip

WORDS = (
    *("null", "~", "[]", "{}", "3", "-1", "0x1f", "1e999", "1:30", ".inf", "-.inf", ".nan", "no", "yes", "on", "Off"),
    *("2001-01-01", "2001-99-99", "9" * 5000, "!!python/name:os.system", "!!python/object/apply:os.system [true]"),
    *("!!binary aGk=", "!!set {a, b}", "!!str 3", "!x y", "&a [*a]", "*a", "&a {b: *a}", "<<: {a: 1}", "'../..'", "? [a]"),
    *("/etc/passwd", "'{run}'", "\t", "\0", "é", "{value.__class__}", "{value:>999999999}", "{0}", "{", "}", "*", "**/**"),
    *("2/0", "0/1", "9/2", "runs:", "# x", "-", "- -", ": :", "|", ">", "%YAML 9.9", "---", "...", '"\\ud800"', '"\\e[2J"'),
    *("'" + "x" * 3000 + "'", "раrams", "ѕeeds", "[1, 1]", "[[[[1]]]]", "{a: {b: {c: {}}}}", '"\\0"', "1.0e+400", "0o9"),
)  # fmt: skip

# of claims files
POINTERS = (
    *("../x.json#/a", "/etc/passwd#/a", "%2e%2e/x.json#/a", "evidence.json#/a~1b", "evidence.json#/~01", "evidence.json#"),
    *("evidence.json", "#/a", "evidence.json#a", "study:chosen.json#/run", "evidence.json#/mean_throw/value", "e.txt#/a"),
    *("a\\b.json#/x", "x/../evidence.json#/mean_throw", "./evidence.json#/mean_throw", "evidence.json#/" + "a/" * 600),
    *("evidence.json#/first_seven", "summary.json#/counts", "throws/part_0.json#/0", "evidence.json#/mean_throw/9" * 3),
    *("a" * 300 + ".json#/x", "a)b [c](d).json#/x", 'a"b<c>.json#/x', "a b|c`d.json#/x", "a%20b?c#d.json#/x", "\u202e.json#/a"),
)  # fmt: skip
SENTENCES = (
    *("{value.__class__}", "{value:>999999999}", "{0}", "{", "}", "{{value}}", "{value!r}", "{value[0]}", "{value:{n}}"),
    *("{n:c}", "{unit:.3f}", "{value:d}", "{run}", "{unit:*^30}", "{value:|^20.2f}", "{value:`>9.1f}", "{value:,.2%}", "{x}"),
)  # fmt: skip
RULES = (
    *({"above": 1}, {"quorum": "1/1"}, {"above": 1, "below": 2, "quorum": "1/1"}, {"above": 3.0, "quorum": "0/1"}),
    *({"above": 3.0, "quorum": "9/2"}, {"below": 9, "quorum": "1/2"}, {"above": True, "quorum": "2/3"}, {"above": "1e-3"}),
    *({"above": 1e308, "quorum": "1/9999"}, {"above": -1e308, "quorum": "1/3"}, {"above": "x" * 99, "quorum": 0.5}, None, []),
    *({"above": float("inf"), "quorum": "1/1"}, {"below": 2.5, "quorum": "01/01"}, {"below": 2.5, "quorum": "１/１"}),
)  # fmt: skip
