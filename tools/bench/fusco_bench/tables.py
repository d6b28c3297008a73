"""Tables as Markdown or as plain text."""


def render(head, rows, asMarkdown):
    rows = [[str(cell) for cell in row] for row in rows]
    if asMarkdown:
        lines = ["| " + " | ".join(head) + " |", "|--" * len(head) + "|"]
        return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]

    def line(cells):
        first = cells[0].ljust(widths[0])
        return "  ".join([first] + [c.rjust(w) for c, w in zip(cells[1:], widths[1:])]).rstrip()

    return "\n".join([line(head)] + [line(row) for row in rows]) + "\n"


def heading(text, asMarkdown):
    return f"## {text}\n" if asMarkdown else f"{text}\n{'=' * len(text)}\n"


def significant(value, digits=3):
    """Three digits, without an exponent."""
    if value == 0:
        return "0"
    magnitude = len(str(int(abs(value)))) if abs(value) >= 1 else 1
    return f"{value:.{max(0, digits - magnitude)}f}"
