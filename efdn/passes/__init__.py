"""Transforms of the deploy form, one small pure pass each; `efdn.passes.pipeline` lists and runs them."""
