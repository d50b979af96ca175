"""CSV as people write it: signs, encodings, quotes, names, rows that cannot be used."""

from __future__ import annotations

import codecs

import numpy as np
from made_base import PLAIN, ROWS, X, case, edited, put, refused, text_of

# --- CSV: signs, ends of lines, encodings -----------------------------------------------------

for sign, called in ((",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")):
    case(f"csv {called}", put("a.csv", text_of(delimiter=sign)))
    case(
        f"csv {called}, quoted, CRLF", put("a.csv", text_of(delimiter=sign, eol="\r\n", quote=True))
    )
    case(
        f"csv {called} at the end of rows",
        put("a.csv", text_of(delimiter=sign).replace("\n", sign + "\n")),
    )
for sign in (";", "\t", "|"):
    case(f"csv decimal comma with {sign!r}", put("a.csv", text_of(delimiter=sign, decimal=",")))
case("csv decimal comma, quoted", put("a.csv", text_of(decimal=",", quote=True)))
for sign in (";", "\t", "|"):
    case(
        f"csv decimal comma with {sign!r} beside texts with points",
        put("a.csv", text_of(delimiter=sign, decimal=",", model=["1.0", "2.5"] * (ROWS // 2))),
        options={"exclude": ["model"]},
    )
WHOLE = (5000 + 100 * X).round()  # 6,123 is six thousand, or six
for sign in (",", "\t", "|"):
    grouped = text_of(X, delimiter=sign, quote=True).splitlines()[:1]
    grouped += [sign.join(f'"{each:,.0f}"' for each in row) for row in WHOLE.tolist()]
    refused(
        f"csv commas that may stand between thousands, {sign!r}",
        put("a.csv", "\n".join(grouped)),
        r"a.csv.*'\d+,\d{3}'.*--decimal",
    )
    case(
        f"csv commas that are said to be decimal, {sign!r}",
        put("a.csv", "\n".join(grouped)),
        WHOLE / 1000,
        options={"decimal": ",", "delimiter": sign},
    )
    case(
        f"csv commas that are said to be decimal, and nothing else, {sign!r}",
        put("a.csv", "\n".join(grouped)),
        WHOLE / 1000,
        options={"decimal": ","},
    )
case(
    "csv with a sign that is told", put("a.csv", text_of(delimiter="^")), options={"delimiter": "^"}
)
case("csv with blanks", put("a.csv", text_of().replace(",", " , ")))
case(
    "csv sign at the end of data alone",
    put("a.csv", PLAIN.split("\n", 1)[0] + "\n" + PLAIN.split("\n", 1)[1].replace("\n", ",\n")),
)
case("csv CR", put("a.csv", text_of(eol="\r")))
case("csv without the last end of line", put("a.csv", PLAIN.rstrip("\n")))
case("csv with blank lines", put("a.csv", "\n" + PLAIN.replace("\n", "\n\n")))
case("csv BOM", put("a.csv", codecs.BOM_UTF8 + PLAIN.encode()))
for eol in ("\n", "\r\n", "\r"):
    for sign in (",", ";"):
        quoted = text_of(names=(f"o{sign} il", "air", "he at"), delimiter=sign, eol=eol, quote=True)
        case(
            f"csv BOM and names in quotes, {sign!r}, {eol!r}",
            put("a.csv", codecs.BOM_UTF8 + quoted.encode()),
            names=(f"o{sign} il", "air", "he at"),
        )
case("csv BOM and blank lines", put("a.csv", codecs.BOM_UTF8 + b"\r\n\n" + PLAIN.encode()))
case("csv BOM and lines to skip", put("a.csv", codecs.BOM_UTF8 + b"x\n" + PLAIN.encode()),
     options={"skip_rows": 1})  # fmt: skip
for seed in range(4):
    lines = text_of(quote=seed % 2 > 0).splitlines()
    ends = np.random.default_rng(seed).choice(["\n", "\r\n", "\r"], len(lines)).tolist()
    ends[:2] = (["\r", "\n"], ["\r", "\r\n"], ["\n", "\r"], ["\r\n", "\r"])[seed]
    mixed = "".join(map("".join, zip(lines, ends, strict=True)))
    case(f"csv lines that end in several ways {seed}", put("a.csv", mixed))
refused(
    "csv lines that end in several ways, one bad",
    put("a.csv", edited(PLAIN, 17, "1,x,3").replace("\n", "\r", 9)),
    r"a.csv, row 16 \(line 18\).*'air'",
)
NAMED = {"names": ("öl °C", "air", "heat")}
for encoding in ("utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252", "utf-8"):
    case(f"csv {encoding}", put("a.csv", text_of(names=NAMED["names"]), encoding), **NAMED)
case(
    "csv latin-1 told",
    put("a.csv", text_of(names=NAMED["names"]), "latin-1"),
    options={"encoding": "latin-1"},
    **NAMED,
)
case("csv big", put("a.csv", text_of(np.tile(X, (2000, 1)))), np.tile(X, (2000, 1)))

for sign in (";", ",", "\t"):
    case(
        f"csv that says sep={sign!r}",
        put("a.csv", f"sep={sign}\r\n" + text_of(delimiter=sign, eol="\r\n")),
    )
case("csv that says sep=; in UTF-16", put("a.csv", "sep=;\n" + text_of(delimiter=";"), "utf-16"))
refused(
    "csv that says sep=; with a bad row",
    put("a.csv", "sep=;\n" + edited(text_of(delimiter=";"), 3, "1;x;2")),
    r"a.csv, row 2 \(line 5\).*'air'",
)

# --- CSV: quotes ------------------------------------------------------------------------------

NOTES = [f'no {i},\n"so"' for i in range(ROWS)]
case("csv newlines in cells", put("a.csv", text_of(note=NOTES)), options={"exclude": ["note"]})
for line in (1, ROWS // 2, ROWS):
    for place, name in enumerate(("in front", "behind")):
        text = text_of(note=["x"] * ROWS) if place == 0 else edited(PLAIN, 0, "oil,air,heat,note")
        row = PLAIN.split("\n")[line]
        cells = f'"5 inch,{row}' if place == 0 else f'{row},"5 inch'
        if place:
            text = "\n".join(each + ",x" * (i > 0) for i, each in enumerate(text.splitlines()))
        refused(
            f"csv a quote {name} on row {line} that is never closed",
            put("a.csv", edited(text, line, cells)),
            rf"a.csv.*quote.* on line {line + 1} is never closed",
            options={"exclude": ["note"]},
        )
LONG = [("x\n" * 40 + '"",') for _ in range(20_000)]
case(
    "csv newlines in cells across blocks",
    put("a.csv", text_of(np.tile(X, (500, 1)), note=LONG)),
    np.tile(X, (500, 1)),
    options={"exclude": ["note"]},
)
ODD = ("oil, hot", "air\nwet", 'the "heat"')
case("csv signs and newlines in names", put("a.csv", text_of(names=ODD)), names=ODD)
case(
    "csv a quote within a cell",
    put("a.csv", text_of(note=['5" pipe'] * ROWS).replace('"5"" pipe"', '5" pipe')),
    options={"exclude": ["note"]},
)

# --- CSV: above and below the names -----------------------------------------------------------

case("csv units", put("a.csv", edited(PLAIN, 0, "oil,air,heat\n[bar],[l/s],[K]")))
case(
    "csv units beside times",
    put(
        "a.csv",
        edited(
            text_of(time=[f"2026-01-01T00:00:{i:02d}" for i in range(ROWS)]),
            0,
            "time,oil,air,heat\nUTC,bar,,K",
        ),
    ),
    options={"timestamp_column": "time"},
    times=(0, ROWS - 1),
)
PREAMBLE = "made by logger 3\nplant 7; hall 2\n\n"
case("csv preamble told", put("a.csv", PREAMBLE + PLAIN), options={"skip_rows": 3})
refused("csv preamble", put("a.csv", PREAMBLE + PLAIN), "a.csv.*--skip-rows 3")
refused("csv names alone", put("a.csv", "oil,air,heat\n"), "a.csv.*there is no row")
refused("csv empty", put("a.csv", ""), "a.csv.*empty")
refused("csv blank", put("a.csv", "\n\n"), "a.csv.*empty")
refused("csv numbers as names", put("a.csv", PLAIN.split("\n", 1)[1]), "first line holds numbers")
refused(
    "csv names twice",
    put("a.csv", text_of(names=("oil", "air", "oil"))),
    "a.csv.*two columns are named 'oil'",
)
case("csv index without a name", put("a.csv", text_of(**{"": list(range(ROWS))})))

# --- CSV: rows that cannot be used ------------------------------------------------------------

WITHOUT = np.delete(X, 16, axis=0)
for called, cells, why in (
    ("too few cells", "1,2", "2 cells where the header has 3"),
    ("too many cells", "1,2,3,4", "4 cells where the header has 3"),
    ("one cell", "1", "1 cell where the header has 3"),
    ("text", "1,wet,3", "'air' is 'wet'"),
    ("a gap", "1,,3", "'air' is missing"),
    ("NA", "1,NA,3", "'air' is missing"),
    ("infinity", "1,-inf,3", "'air' is '?-inf"),
    ("too large", "1,1e200,3", "'air' is .*1e.?200.*too large"),
    ("a number of Python's", "1,1_000,3", "'air' is '1_000'"),
    ("hexadecimal", "1,0x1F,3", "'air' is '0x1F'"),
):
    changed = edited(PLAIN, 17, cells)
    refused(f"csv {called}", put("a.csv", changed), rf"a.csv, row 16 \(line 18\): .*{why}")
    case(
        f"csv {called} skipped",
        put("a.csv", changed),
        WITHOUT,
        n_bad=1,
        options={"bad_rows": "skip"},
    )
refused(
    "csv bad after newlines in cells",
    put("a.csv", text_of(note=NOTES) + "x,wet,1,2\n"),
    rf"a.csv, row {ROWS} \(line {2 * ROWS + 2}\): feature 'oil' is 'wet'",
    options={"exclude": ["note"]},
)
refused(
    "csv latin-1 deep inside",
    put(
        "a.csv",
        text_of(np.tile(X, (400, 1)), note=["x"] * (400 * ROWS)).encode()
        + "ü,1,2,3\n".encode("latin-1"),
    ),
    r"row 16000 \(line 16002\): .*0xfc is not UTF-8",
    options={"exclude": ["note"]},
)
refused("csv random bytes", put("a.csv", np.random.default_rng(0).bytes(100_000)), "a.csv")
refused("csv of zeros", put("a.csv", b"\0" * 1000), "a.csv")
refused(
    "csv text column",
    put("a.csv", text_of(hall=["north"] * ROWS)),
    "column 'hall' holds text.*'north'",
)
refused(
    "csv time column",
    put("a.csv", text_of(when=["2026-01-01T00:00"] * ROWS)),
    "column 'when' holds times.*--timestamp-column",
)
case(
    "csv more texts for gaps",
    put("a.csv", edited(PLAIN, 17, "1,Inp OutRange,3")),
    WITHOUT,
    n_bad=1,
    options={"na": ["Inp OutRange"], "bad_rows": "skip"},
)
