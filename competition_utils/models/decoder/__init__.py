"""Decoders (Gemma 3, Qwen 2.5, …) with LoRA adapters."""
