"""Prints the C blocks of a Markdown file."""
import re
import sys

blocks = re.findall(r"^```c\n(.*?)^```$", open(sys.argv[1]).read(), re.M | re.S)
assert blocks, "no C block in " + sys.argv[1]
print("\n".join(blocks), end="")
