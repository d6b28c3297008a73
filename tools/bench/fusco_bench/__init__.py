"""fusco-bench: measures compiled shuffles against what users would pick instead."""
