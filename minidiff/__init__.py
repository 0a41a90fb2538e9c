"""minidiff: diffusion models from scratch, one chapter at a time.

Every module belongs to the chapter of `course.toml` that introduces it, and imports only modules of that chapter
or of earlier ones. Nothing is imported here: `from minidiff.process.forward import q_sample` says where a thing lives.
"""

__version__ = "0.1.0"
