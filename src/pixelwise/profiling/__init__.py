"""Profiling of networks: parameters, multiply-accumulates, latency, training time and memory."""
