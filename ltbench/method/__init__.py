"""The contract between a method and the core: its slots, what they get and give, how several methods share a stage.

What enters is what a method's author may touch, or reads such a class from a file or a session. Imports ``backbones`` and what
lies below; the engine that calls the slots lives in ``training``.
"""
