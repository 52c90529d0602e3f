"""Upscaling video frame by frame, with everything else in the file kept.

`facts` looks at a file, `target` checks what is to become of it, `upscaling` does the work: `reader` decodes in one
thread, `writer` encodes in another, and between them `pipeline` runs the engine. Only `libav` imports PyAV.
"""
