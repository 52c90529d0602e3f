"""Latency of engines, measured side by side: `efdn-profile`.

`plan` says what is to be run, `measure` runs it in worker processes, `result` holds
what came out with every raw sample, `advice` what to be wary of, `page` shows it.
"""
