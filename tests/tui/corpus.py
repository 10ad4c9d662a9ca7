"""Text that would act on a terminal, or on a reader, if it came through as it is."""

ESC, CSI, OSC, ST, BEL = "\x1b", "\x9b", "\x9d", "\x9c", "\x07"

HOSTILE = (
    f"{ESC}]52;c;aGFja2Vk{BEL} clipboard",
    f"{ESC}]52;c;aGFja2Vk{ESC}\\ clipboard",
    f"{ESC}[2J{ESC}[3J{ESC}[H gone",
    f"{ESC}[31;7m red {ESC}[0m",
    f"{ESC}]0;title{BEL} title",
    f"{ESC}]8;;http://evil.example{ESC}\\click{ESC}]8;;{ESC}\\",
    f"{ESC}P$q q{ESC}\\ status",
    f"{ESC}[6n{ESC}[c{ESC}[21t asks back",
    f"{ESC}c{ESC}[?1049l{ESC}[?1000l resets",
    f"{CSI}2J {OSC}52;c;aGFja2Vk{ST} eight bits",
    "back\b\b\b\bspace \r overwritten",
    "\x00nul \x0e shift \x7f delete",
    "\u202egnp.exe\u202c \u2066isolate\u2069 \u200f",
    "zero\u200bwidth \u2060join \ufeffmark \u00adhyphen",
    "tag \U000e0041\U000e0042 private \ue000 \U000f0000",
    "line\u2028separator\u2029paragraph\x85next",
    "[bold red]markup[/] [@click=app.quit]click[/] [link=http://evil.example]x[/link]",
    "unpaired \ud800 surrogate",
    "z" + "\u0301" * 300 + "algo",
    "👩‍👩‍👧‍👦 family ⚠️ 🏳️‍🌈 1️⃣",
    "日本語の長い行" * 40,
    "x" * 20_000,
    "tab\tand\ttab \v \f",
    "```\n\x1b[2J\n```\n| a\x1b[2J | b |\n|---|---|\n| \x9b2J | c |",
    "# \x1b[2J\n\n- \x1b]52;c;eA==\x07\n> \u202e\n\n[a](\x1b[2J)",
)
"""Each is shown by every widget in a real terminal; none of it may arrive there."""

FORBIDDEN = (
    b"\x1b]52", b"\x1b[2J", b"\x1b[3J", b"\x1b]0;", b"\x1b]8;", b"\x1bP$q", b"\x1b[6n", b"\x1b[21t", b"\x1bc",
    b"\x07", b"\x08", b"\x00", b"\x0e", b"\x7f", b"\x0b", b"\x0c",
    *(chr(code).encode() for code in (*range(0x80, 0xA0), 0x202A, 0x202B, 0x202D, 0x202E, 0x2066, 0x2067, 0x2069)),
    *(char.encode() for char in "\u200b\u200d\u200f\u2028\u2029\u2060\ufeff\U000e0041\ue000"),
    ("\u0301" * 5).encode(),
)  # fmt: skip
