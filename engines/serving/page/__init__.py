"""The page that is served: plain HTML, CSS and JavaScript, nothing to build."""
