"""What the CPU path is made of: `python -m benchmarks.cpu_path`.

`ladder` times the graph after each pass, `shares` says what kinds of work an engine's time goes into, `rates` measures
what the machine could do at most, and `page` writes results, tables and the chart of docs/performance.md.
"""
