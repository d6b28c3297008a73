"""Makes build folders that have the real compiler and the fusco-run given:
`make-builds.py FUSCO-RUN FOLDER...`."""
import os
import shutil
import sys

run, *folders = sys.argv[1:]
for folder in folders:
    tools = os.path.join(folder, "bin")
    os.makedirs(tools)
    for name in ("fusco-import", "fusco-compile"):
        os.symlink(shutil.which(name), os.path.join(tools, name))
    target = os.path.join(tools, "fusco-run")
    shutil.copy(run, target)
    os.chmod(target, 0o755)
