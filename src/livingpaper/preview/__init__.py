"""The paper while it is being written: built again at every change of a source, and reloaded in the browser.

`loop` looks (`sources`) and starts builds in a process of their own (`rebuild`, with `held` for what a preview does not
run); `channel` tells the open pages, which `server` gives a small script (`reload.js`).
"""
