"""VLMEvalKit as an evaluation stack: it loads no plugins, so that `benchc vlmevalkit` registers ours and starts it."""
