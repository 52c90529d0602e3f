"""The commands `efdn-export` and `efdn-infer`."""
