"""Texts that a model writes, by transformers, vLLM and servers: one prefill for all drawn answers to a question."""
